import { useQuery } from '@tanstack/react-query'
import { IconTimeline } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { searchTraces, type TraceSummary } from '../../api/tempo'
import { seconds } from '../../api/vervet'
import { useZone } from '../../app/settings'
import { useLinkSearch, useRange, useUrlState } from '../../app/state'
import { formatDuration, formatInstant } from '../../lib/format'
import { nanoToMs } from '../../api/tempo'
import { Page } from '../../ui/Page'
import { Empty, Failure, SkeletonRows } from '../../ui/States'
import { TraceForm } from './TraceForm'
import css from './traces.module.css'

const LIMIT_DEFAULT = 100

export function Traces() {
  const [search] = useUrlState()
  const { startMs, endMs } = useRange()
  const limit = Math.min(Number(search.limit) || LIMIT_DEFAULT, 1000)
  const filter = {
    service: search.service, name: search.name, minDuration: search.min, maxDuration: search.max, status: search.status,
    environment: search.env, start: seconds(startMs), end: seconds(endMs) + 1, limit,
  }
  const traces = useQuery({
    queryKey: ['traces', filter],
    queryFn: ({ signal }) => searchTraces(filter, signal),
    placeholderData: (previous) => previous,
  })
  return (
    <Page title="Traces">
      <TraceForm />
      <section className="card" aria-label="Traces found">
        {traces.isError && !traces.data ? <Failure error={traces.error} what="search the traces" onRetry={() => void traces.refetch()} />
          : traces.isPending ? <SkeletonRows rows={9} height={18} />
            : traces.data.length === 0 ? <NoTraces />
              : <TraceTable traces={traces.data} limit={limit} />}
      </section>
    </Page>
  )
}

function TraceTable({ traces, limit }: { traces: TraceSummary[]; limit: number }) {
  const [search, patch] = useUrlState()
  const byDuration = search.sort === 'duration'
  const sorted = [...traces].sort((a, b) => (byDuration ? (b.durationMs ?? 0) - (a.durationMs ?? 0) : nanoToMs(b.startTimeUnixNano) - nanoToMs(a.startTimeUnixNano)))
  const longest = traces.reduce((max, t) => Math.max(max, t.durationMs ?? 0), 1)
  return (
    <>
      <div className="card-head">
        <h2>Traces</h2><span className="chip">{traces.length}{traces.length >= limit ? '+' : ''}</span>
        <div className="seg" role="group" aria-label="Order" style={{ marginLeft: 'auto' }}>
          <button type="button" aria-pressed={!byDuration} onClick={() => patch({ sort: undefined }, true)}>Newest</button>
          <button type="button" aria-pressed={byDuration} onClick={() => patch({ sort: 'duration' }, true)}>Slowest</button>
        </div>
      </div>
      <div className="scroll-x" tabIndex={0} role="region" aria-label="Traces table">
        <table className="table stack">
          <thead><tr><th>Root span</th><th>Duration</th><th className="num" aria-label="Duration value" /><th className="num">Spans</th><th>Services</th><th className="num">Started</th></tr></thead>
          <tbody>{sorted.map((trace) => <TraceRow key={trace.traceID} trace={trace} longest={longest} />)}</tbody>
        </table>
      </div>
    </>
  )
}

function TraceRow({ trace, longest }: { trace: TraceSummary; longest: number }) {
  const linkSearch = useLinkSearch()
  const zone = useZone()
  const stats = Object.entries(trace.serviceStats ?? {})
  const spans = stats.reduce((sum, [, s]) => sum + (s.spanCount ?? 0), 0)
  const errors = stats.reduce((sum, [, s]) => sum + (s.errorCount ?? 0), 0)
  return (
    <tr>
      <td>
        <div className={css.name}>
          <Link to="/traces/$traceId" params={{ traceId: trace.traceID }} search={linkSearch() as never}>{trace.rootTraceName || 'Root span not received'}</Link>
          <span>{trace.rootServiceName || 'unknown service'} <span className="mono">{trace.traceID.slice(0, 8)}</span></span>
        </div>
      </td>
      <td className={css.barCell}>
        <div className={css.bar} data-error={errors > 0 || undefined}><i style={{ width: `${Math.max(1, ((trace.durationMs ?? 0) / longest) * 100)}%` }} /></div>
      </td>
      <td className="num">{formatDuration(trace.durationMs)}</td>
      <td className="num">{spans || ''}{errors > 0 && <> <span className="chip chip-bad">{errors} failed</span></>}</td>
      <td><div className={css.services}>{stats.slice(0, 3).map(([name]) => <span key={name} className="chip">{name}</span>)}{stats.length > 3 && <span className="chip">+{stats.length - 3}</span>}</div></td>
      <td className="num dim">{formatInstant(nanoToMs(trace.startTimeUnixNano), zone)}</td>
    </tr>
  )
}

function NoTraces() {
  const [search, patch] = useUrlState()
  const filtered = Boolean(search.service || search.name || search.min || search.max || search.status)
  return (
    <Empty
      icon={<IconTimeline size={20} />}
      title={filtered ? 'No trace matches' : 'No traces in this time range'}
      hint={filtered
        ? <><p>Loosen the search, or widen the time range.</p><button type="button" className="btn" style={{ marginTop: 12 }} onClick={() => patch({ service: undefined, name: undefined, min: undefined, max: undefined, status: undefined })}>Clear the search</button></>
        : <>Instrument a service with an OpenTelemetry SDK and send spans here:<pre>{`OTEL_EXPORTER_OTLP_ENDPOINT=http://${location.hostname}:4318\nOTEL_TRACES_EXPORTER=otlp`}</pre></>}
    />
  )
}
