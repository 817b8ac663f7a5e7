import { IconFileSearch } from '@tabler/icons-react'
import { useRange, useUrlState } from '../../app/state'
import { Empty } from '../../ui/States'
import { zoomOut } from '../../lib/time'

export function NoLogs() {
  const [search, patch] = useUrlState()
  const range = useRange()
  const filtered = Boolean(search.q || search.level || search.service || search.env)
  const widen = () => {
    const next = zoomOut(range, Date.now())
    range.zoomTo(next.startMs, next.endMs)
  }
  return (
    <Empty
      icon={<IconFileSearch size={20} />}
      title={filtered ? 'No line matches' : 'No logs in this time range'}
      hint={
        <>
          {filtered ? 'Loosen the filters or widen the range.' : 'Run an agent on a node with a filelog receiver, or send OTLP logs to port 4318.'}
          <div className="row" style={{ justifyContent: 'center', marginTop: 12 }}>
            {filtered && <button type="button" className="btn" onClick={() => patch({ q: undefined, level: undefined, service: undefined, env: undefined })}>Clear filters</button>}
            <button type="button" className="btn" onClick={widen}>Double the range</button>
          </div>
          {!filtered && <pre>{'receivers:\n  pods:\n    type: filelog\n    include: [/var/log/pods/*/*/*.log]\n    format: container'}</pre>}
        </>
      }
    />
  )
}
