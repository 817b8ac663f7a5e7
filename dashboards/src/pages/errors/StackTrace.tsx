import { useState } from 'react'
import type { ErrorEvent, Frame } from '../../api/vervet'
import { foldFrames } from '../../lib/frames'
import { CopyButton } from '../../ui/CopyButton'
import css from './errors.module.css'

/** Frames of libraries are folded between those of the application; the raw text is one press away. */
export function StackTrace({ event }: { event: ErrorEvent }) {
  const frames = event.frames ?? []
  const [raw, setRaw] = useState(false)
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set())
  if (frames.length === 0 && !event.stacktrace) return <p className="dim">This event came without a stack trace.</p>
  const showRaw = raw || frames.length === 0
  return (
    <div>
      <div className={css.group} style={{ marginTop: 0 }}>
        <h3>
          Stack trace
          <span style={{ marginLeft: 'auto' }} />
          {frames.length > 0 && event.stacktrace && <button type="button" className="btn btn-ghost btn-small" aria-pressed={raw} onClick={() => setRaw(!raw)}>{raw ? 'Frames' : 'Raw text'}</button>}
          {event.stacktrace && <CopyButton text={event.stacktrace} label="Copy stack trace" />}
        </h3>
      </div>
      {showRaw ? <pre className={css.raw} tabIndex={0} aria-label="Raw stack trace">{event.stacktrace}</pre> : (
        <div className={css.frames}>
          {foldFrames(frames).map((run) => (run.app || open.has(run.at) || run.frames.length === 1
            ? run.frames.map((frame, i) => <FrameLine key={run.at + i} frame={frame} />)
            : (
              <button key={run.at} type="button" className={css.folded} aria-expanded={false} onClick={() => setOpen(new Set([...open, run.at]))}>
                {run.frames.length} frames of libraries
              </button>
            )))}
        </div>
      )}
    </div>
  )
}

function FrameLine({ frame }: { frame: Frame }) {
  const place = [frame.file ?? frame.module, frame.line, frame.column].filter((part) => part !== undefined && part !== null && part !== '').join(':')
  return (
    <div className={css.frame} data-app={frame.in_app || undefined}>
      <b>{frame.function || '(anonymous)'}</b><span>{place}</span>
    </div>
  )
}
