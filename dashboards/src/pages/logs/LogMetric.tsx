// A LogQL metric query, drawn as lines.
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { queryCounts } from '../../api/loki'
import { useRange, useUrlState } from '../../app/state'
import { buildLogQL } from '../../lib/logql'
import { niceStepSeconds } from '../../lib/time'
import { Empty, Failure, SkeletonBlock } from '../../ui/States'
import { Graph } from '../metrics/Graph'

export function LogMetric() {
  const [search] = useUrlState()
  const { startMs, endMs, zoomTo } = useRange()
  const step = niceStepSeconds({ startMs, endMs }, 240)
  const query = buildLogQL(search.q ?? '', { env: search.env })
  const answer = useQuery({
    queryKey: ['log-metric', query, startMs, endMs, step],
    queryFn: ({ signal }) => queryCounts(query, startMs, endMs, step, signal),
  })
  const series = useMemo(
    () => (answer.data ?? []).map((s) => ({ metric: s.labels, values: s.points.map(([ms, v]): [number, string] => [ms / 1000, String(v)]) })),
    [answer.data],
  )
  if (answer.isPending) return <div style={{ padding: 20 }}><SkeletonBlock height={320} /></div>
  if (answer.isError) return <Failure error={answer.error} what="run the query" onRetry={() => void answer.refetch()} />
  if (series.length === 0) return <Empty title="The query returns no series" hint="Check the selector, or widen the range." />
  return (
    <div style={{ padding: 20, overflow: 'auto' }} tabIndex={0} role="region" aria-label="Result">
      <div className="card"><Graph series={series} startMs={startMs} endMs={endMs} stepMs={step * 1000} expr={query} onZoom={zoomTo} /></div>
    </div>
  )
}
