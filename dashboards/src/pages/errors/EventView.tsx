import { IconChevronLeft, IconChevronRight, IconListDetails, IconTimeline } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import type { ErrorEvent } from '../../api/vervet'
import { useZone } from '../../app/settings'
import { useLinkSearch, useUrlState } from '../../app/state'
import { formatInstantFull } from '../../lib/format'
import { CopyButton } from '../../ui/CopyButton'
import { logsLink } from '../traces/links'
import { StackTrace } from './StackTrace'
import css from './errors.module.css'

export function EventView({ events }: { events: ErrorEvent[] }) {
  const [search, patch] = useUrlState()
  const zone = useZone()
  const at = Math.max(0, events.findIndex((event) => event.id === search.event))
  const event = events[at]
  if (!event) return <section className="card"><div className={css.eventBody}><p className="dim">No event of this group is kept any more; the counts remain.</p></div></section>
  const go = (next: number) => patch({ event: next === 0 ? undefined : events[next]?.id }, true)
  return (
    <section className="card" aria-label="Event">
      <div className={css.eventNav}>
        <h2>Event</h2>
        <span className="dim">{formatInstantFull(event.time_unix_ms, zone)}</span>
        <EventLinks event={event} />
        <div className="row" style={{ gap: 4 }}>
          <button type="button" className="btn btn-icon" aria-label="Newer event" disabled={at === 0} onClick={() => go(at - 1)}><IconChevronLeft size={15} /></button>
          <span className="dim">{at + 1} of {events.length}</span>
          <button type="button" className="btn btn-icon" aria-label="Older event" disabled={at >= events.length - 1} onClick={() => go(at + 1)}><IconChevronRight size={15} /></button>
        </div>
      </div>
      <div className={css.eventBody}>
        <StackTrace event={event} />
        <div className={css.group}>
          <h3>Context</h3>
          <dl className="kv">
            {event.message && <><dt>Message</dt><dd className="mono">{event.message}</dd></>}
            {event.source && <><dt>Came as</dt><dd>{event.source}</dd></>}
            {event.service_version && <><dt>Version</dt><dd className="mono">{event.service_version}</dd></>}
            {event.environment && <><dt>Environment</dt><dd>{event.environment}</dd></>}
            {event.host_name && <><dt>Host</dt><dd>{event.host_name}</dd></>}
            {event.trace_id && <><dt>Trace</dt><dd className="mono">{event.trace_id} <CopyButton text={event.trace_id} label="Copy trace id" /></dd></>}
          </dl>
        </div>
        {Object.keys(event.attributes ?? {}).length > 0 && (
          <div className={css.group}>
            <h3>Attributes</h3>
            <dl className="kv mono">
              {Object.entries(event.attributes ?? {}).sort(([a], [b]) => a.localeCompare(b)).map(([key, value]) => [
                <dt key={`k${key}`}>{key}</dt>, <dd key={`v${key}`}>{typeof value === 'string' ? value : JSON.stringify(value)}</dd>,
              ])}
            </dl>
          </div>
        )}
      </div>
    </section>
  )
}

function EventLinks({ event }: { event: ErrorEvent }) {
  const linkSearch = useLinkSearch()
  if (!event.trace_id) return <span style={{ marginLeft: 'auto' }} />
  return (
    <div className="row wrap" style={{ marginLeft: 'auto', gap: 6 }}>
      <Link className="btn btn-primary" to="/traces/$traceId" params={{ traceId: event.trace_id }} search={linkSearch({ span: event.span_id || undefined }) as never}><IconTimeline size={15} aria-hidden />Open trace</Link>
      <Link className="btn" to="/logs" search={linkSearch(logsLink(event.trace_id, event.time_unix_ms, event.time_unix_ms)) as never}><IconListDetails size={15} aria-hidden />Logs</Link>
    </div>
  )
}
