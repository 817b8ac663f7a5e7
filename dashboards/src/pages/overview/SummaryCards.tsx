import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { queryRange } from '../../api/prometheus'
import { getStatus, type Status, type TableStatus } from '../../api/vervet'
import { useRange } from '../../app/state'
import { Sparkline } from '../../charts/Sparkline'
import { formatAgo, formatBytes, formatCount, formatNumber, formatShare } from '../../lib/format'
import { niceStepSeconds } from '../../lib/time'
import css from './overview.module.css'

/** An agent that has said nothing for this long is called silent. */
const SILENT_AFTER_MS = 120_000

// The host metrics go by several names, by age of the conventions and by exporter; the first that answers is drawn.
const CPU = [
  '1 - avg(system_cpu_utilization_ratio{cpu_mode="idle"})',
  '1 - avg(system_cpu_utilization_ratio{state="idle"})',
  '1 - avg(rate(system_cpu_time_seconds_total{cpu_mode="idle"}[5m]))',
  '1 - avg(rate(system_cpu_time_seconds_total{state="idle"}[5m]))',
  '1 - avg(rate(node_cpu_seconds_total{mode="idle"}[5m]))',
].join(' or ')
const MEMORY = [
  'avg(system_memory_utilization_ratio{system_memory_state="used"})',
  'avg(system_memory_utilization_ratio{state="used"})',
  '1 - avg(node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)',
].join(' or ')

export function SummaryCards() {
  const { nowMs } = useRange()
  const status = useQuery({ queryKey: ['status'], queryFn: ({ signal }) => getStatus(signal), retry: false })
  const data = status.data
  const failed = status.isError ? 'Could not be loaded' : undefined
  return (
    <section className={css.cards} aria-label="Summary">
      <AgentsCard status={data} nowMs={nowMs} pending={status.isPending} failed={failed} />
      <TableCard title="Log records" table={data?.tables?.logs} pending={status.isPending} failed={failed} />
      <TableCard title="Spans" table={data?.tables?.spans} pending={status.isPending} failed={failed} />
      <TableCard title="Metric samples" table={data?.tables?.samples} pending={status.isPending} failed={failed} extra={data?.tables?.series && `${formatNumber(rows(data.tables.series))} series`} />
      <HostCard title="Host CPU" expr={CPU} color="var(--accent)" />
      <HostCard title="Host memory" expr={MEMORY} color="#5b7fd6" />
    </section>
  )
}

function Card({ title, value, sub, children }: { title: string; value: ReactNode; sub?: ReactNode; children?: ReactNode }) {
  return (
    <div className={`card ${css.stat}`}>
      <span className="label">{title}</span>
      <span className={css.value}>{value}</span>
      {sub && <span className={css.sub}>{sub}</span>}
      {children}
    </div>
  )
}

const rows = (table: TableStatus) => (table.rows_head ?? 0) + (table.rows_stored ?? 0)

function TableCard({ title, table, pending, failed, extra }: { title: string; table: TableStatus | undefined; pending: boolean; failed: string | undefined; extra?: string | undefined }) {
  if (!table) return <Card title={title} value={pending ? '…' : '–'} sub={failed} />
  const size = table.bytes === undefined ? undefined : extra ? formatBytes(table.bytes) : `${formatBytes(table.bytes)} in ${formatCount(table.files ?? 0)} files`
  return <Card title={title} value={formatCount(rows(table))} sub={[extra, size].filter(Boolean).join(' · ')} />
}

function AgentsCard({ status, nowMs, pending, failed }: { status: Status | undefined; nowMs: number; pending: boolean; failed: string | undefined }) {
  if (!status?.agents) return <Card title="Agents" value={pending ? '…' : '–'} sub={failed} />
  const silent = status.agents.filter((agent) => nowMs - (agent.last_seen_unix_ms ?? 0) > SILENT_AFTER_MS)
  const quietest = silent.sort((a, b) => (a.last_seen_unix_ms ?? 0) - (b.last_seen_unix_ms ?? 0))[0]
  const sub = status.agents.length === 0 ? 'None has reported yet'
    : quietest ? <span className="bad">{silent.length} silent: {quietest.host_name ?? quietest.agent_id}, {formatAgo(quietest.last_seen_unix_ms, nowMs)}</span>
      : 'All reporting'
  return <Card title="Agents" value={formatCount(status.agents.length)} sub={sub} />
}

function HostCard({ title, expr, color }: { title: string; expr: string; color: string }) {
  const { startMs, endMs } = useRange()
  const step = niceStepSeconds({ startMs, endMs }, 60, 15)
  const query = useQuery({
    queryKey: ['host', expr, startMs, endMs],
    queryFn: ({ signal }) => queryRange(expr, startMs, endMs, step, signal),
    retry: false,
    placeholderData: (previous) => previous,
  })
  const values = (query.data?.series[0]?.values ?? []).map(([, v]) => Number(v))
  const last = values.at(-1)
  if (last === undefined) return <Card title={title} value={query.isPending ? '…' : '–'} sub={query.isPending ? undefined : query.isError ? 'Could not be loaded' : 'No host metrics in this range'} />
  return (
    <Card title={`${title}, all hosts`} value={formatShare(last)}>
      <div className={css.spark}><Sparkline values={values} label={`${title}: now ${formatShare(last)}`} color={color} height={22} max={1} /></div>
    </Card>
  )
}
