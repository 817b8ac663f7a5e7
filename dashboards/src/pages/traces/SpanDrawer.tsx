import { useQuery } from '@tanstack/react-query'
import { IconAlertTriangle, IconListDetails } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { getErrors } from '../../api/vervet'
import { useLinkSearch } from '../../app/state'
import { formatDuration, formatShare } from '../../lib/format'
import { selfTimeMs, type SpanEvent, type SpanNode, type TraceTree } from '../../lib/trace'
import { CopyButton } from '../../ui/CopyButton'
import { Section, SidePanel } from '../../ui/SidePanel'
import { logsLink } from './links'
import css from './traces.module.css'

export function SpanDrawer({ node, tree, color, onClose }: { node: SpanNode; tree: TraceTree; color: string | undefined; onClose: () => void }) {
  const { span } = node
  const linkSearch = useLinkSearch()
  const duration = span.endMs - span.startMs
  const total = Math.max(tree.endMs - tree.startMs, 0.001)
  return (
    <SidePanel title={`Span ${span.name}`} onClose={onClose} heading={<span className="row"><span className={css.swatch} style={{ background: color }} /><span className="cut">{span.name}</span></span>}>
      <div className={css.actions}>
        <Link className="btn btn-primary" to="/logs" search={linkSearch(logsLink(span.traceId, tree.startMs, tree.endMs, span.spanId)) as never}>
          <IconListDetails size={15} aria-hidden />Logs of this span
        </Link>
        <RelatedErrors traceId={span.traceId} hasException={span.events.some((e) => e.name === 'exception')} />
      </div>
      <Section title="Span">
        <dl className="kv">
          <dt>Service</dt><dd>{span.service}</dd>
          <dt>Duration</dt><dd>{formatDuration(duration)} <span className="dim">({formatShare(duration / total)} of the trace)</span></dd>
          <dt>Own time</dt><dd>{formatDuration(selfTimeMs(node))}</dd>
          <dt>Critical path</dt><dd>{node.critical ? 'yes' : 'no'}</dd>
          <dt>Starts after</dt><dd>{formatDuration(span.startMs - tree.startMs)}</dd>
          <dt>Kind</dt><dd>{span.kind}</dd>
          <dt>Status</dt><dd className={span.error ? 'bad' : undefined}>{span.error ? `error${span.statusMessage ? `: ${span.statusMessage}` : ''}` : 'ok'}</dd>
          <dt>Span id</dt><dd className="mono">{span.spanId} <CopyButton text={span.spanId} label="Copy span id" /></dd>
          {span.scope && <><dt>Scope</dt><dd className="mono">{span.scope}</dd></>}
          {node.orphan && <><dt>Parent</dt><dd className="dim">{span.parentSpanId}, not received</dd></>}
        </dl>
      </Section>
      {span.events.length > 0 && <Section title={`Events (${span.events.length})`}>{span.events.map((event, i) => <EventCard key={i} event={event} startMs={span.startMs} />)}</Section>}
      <Section title="Attributes"><Pairs pairs={span.attributes} /></Section>
      <Section title="Resource"><Pairs pairs={span.resource} /></Section>
    </SidePanel>
  )
}

/** Error groups that hold an event of this trace; the search by trace id is the server's. */
function RelatedErrors({ traceId, hasException }: { traceId: string; hasException: boolean }) {
  const linkSearch = useLinkSearch()
  const groups = useQuery({
    queryKey: ['errors-of-trace', traceId],
    queryFn: ({ signal }) => getErrors({ q: traceId, limit: 3 }, signal),
    retry: false,
    staleTime: 60_000,
  })
  const found = groups.data?.groups ?? []
  if (found.length === 0) return hasException ? <Link className="btn" to="/errors" search={linkSearch() as never}><IconAlertTriangle size={15} aria-hidden />Errors</Link> : null
  return found.map((group) => (
    <Link key={group.id} className="btn" to="/errors/$errorId" params={{ errorId: group.id }} search={linkSearch() as never} title={group.title}>
      <IconAlertTriangle size={15} aria-hidden /><span className="cut" style={{ maxWidth: 200 }}>{group.exception_type ?? group.title}</span>
    </Link>
  ))
}

function EventCard({ event, startMs }: { event: SpanEvent; startMs: number }) {
  const stack = event.attributes.find(([key]) => key === 'exception.stacktrace')?.[1]
  const rest = event.attributes.filter(([key]) => key !== 'exception.stacktrace')
  return (
    <div className={css.eventCard}>
      <header className={event.name === 'exception' ? 'bad' : undefined}>{event.name}<span>+{formatDuration(event.timeMs - startMs)}</span></header>
      <Pairs pairs={rest} />
      {stack && <pre className={css.stack} tabIndex={0} aria-label="Stack trace">{stack}</pre>}
    </div>
  )
}

function Pairs({ pairs }: { pairs: [string, string][] }) {
  if (pairs.length === 0) return <p className="dim">None</p>
  return (
    <dl className="kv mono">
      {[...pairs].sort(([a], [b]) => a.localeCompare(b)).map(([key, value], i) => [<dt key={`k${i}`}>{key}</dt>, <dd key={`v${i}`}>{value}</dd>])}
    </dl>
  )
}
