import { IconFilter, IconFilterOff, IconTimeline, IconZoomIn } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { Fragment } from 'react'
import type { LogRow } from '../../api/loki'
import { useZone } from '../../app/settings'
import { useLinkSearch, useUrlState } from '../../app/state'
import { formatInstantFull } from '../../lib/format'
import { addFilter } from '../../lib/logql'
import { CopyButton } from '../../ui/CopyButton'
import { LevelTag } from '../../ui/LevelTag'
import { Section, SidePanel } from '../../ui/SidePanel'
import css from './logs.module.css'

const AROUND_MS = 30_000

export function LogDrawer({ row, onClose }: { row: LogRow; onClose: () => void }) {
  const zone = useZone()
  const linkSearch = useLinkSearch()
  const traceId = row.meta['trace_id']
  const spanId = row.meta['span_id']
  const around = {
    from: new Date(row.timeMs - AROUND_MS).toISOString(),
    to: new Date(row.timeMs + AROUND_MS).toISOString(),
    service: row.stream['service_name'],
    row: row.key,
  }
  return (
    <SidePanel
      title="Log line" onClose={onClose}
      heading={<span className="row"><LevelTag level={row.stream['level']} /><span className="cut">{formatInstantFull(row.timeMs, zone)}</span></span>}
    >
      <div className={css.jump}>
        {traceId && (
          <Link className="btn btn-primary" to="/traces/$traceId" params={{ traceId }} search={linkSearch({ span: spanId }) as never}>
            <IconTimeline size={15} aria-hidden />Open trace
          </Link>
        )}
        <Link className="btn" to="/logs" search={linkSearch(around) as never}><IconZoomIn size={15} aria-hidden />Lines around it</Link>
      </div>
      <Section title="Line" aside={<CopyButton text={row.line} label="Copy line" />}>
        <pre className={css.message} tabIndex={0} aria-label="Full line">{pretty(row.line)}</pre>
      </Section>
      <Section title="Labels"><Fields entries={Object.entries(row.stream)} /></Section>
      {Object.keys(row.meta).length > 0 && <Section title="Attributes"><Fields entries={Object.entries(row.meta)} /></Section>}
    </SidePanel>
  )
}

function Fields({ entries }: { entries: [string, string][] }) {
  const [search, patch] = useUrlState()
  const filter = (key: string, value: string, exclude: boolean) => patch({ q: addFilter(search.q ?? '', key, value, exclude) })
  return (
    <table className={css.fields}>
      <tbody>
        {entries.sort(([a], [b]) => a.localeCompare(b)).map(([key, value]) => (
          <tr key={key}>
            <th scope="row">{key.split(/(?<=[_.])/).map((part, i) => <Fragment key={i}>{part}<wbr /></Fragment>)}</th>
            <td>{value}</td>
            <td>
              <button type="button" className="btn btn-ghost btn-small btn-icon" aria-label={`Only ${key} = ${value}`} title="Only this value" onClick={() => filter(key, value, false)}><IconFilter size={14} /></button>
              <button type="button" className="btn btn-ghost btn-small btn-icon" aria-label={`Without ${key} = ${value}`} title="Without this value" onClick={() => filter(key, value, true)}><IconFilterOff size={14} /></button>
              <CopyButton text={value} label={`Copy ${key}`} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** A line that is one JSON object is shown indented; anything else as it came. */
function pretty(line: string): string {
  if (!line.startsWith('{') || line.length > 100_000) return line
  try {
    return JSON.stringify(JSON.parse(line), null, 2)
  } catch {
    return line
  }
}
