// A LogQL metric query, drawn as lines.
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { queryCounts } from '../../api/loki'
import { useRange, useUrlState } from '../../app/state'
import { seriesColor } from '../../charts/palette'
import { TimeChart } from '../../charts/TimeChart'
import { buildLogQL } from '../../lib/logql'
import { seriesName } from '../../lib/series'
import { niceStepSeconds } from '../../lib/time'
import { Empty, Failure, SkeletonBlock } from '../../ui/States'

const SERIES_MAX = 50

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
    () => (answer.data ?? []).slice(0, SERIES_MAX).map((s, i) => ({ name: seriesName(s.labels), color: seriesColor(i), points: s.points })),
    [answer.data],
  )
  if (answer.isPending) return <div style={{ padding: 20 }}><SkeletonBlock height={320} /></div>
  if (answer.isError) return <Failure error={answer.error} what="run the query" onRetry={() => void answer.refetch()} />
  if (series.length === 0) return <Empty title="The query returns no series" hint="Check the selector, or widen the range." />
  return (
    <div style={{ padding: 20 }}>
      <TimeChart series={series} startMs={startMs} endMs={endMs} stepMs={step * 1000} height={360} label={`Result of ${query}`} onZoom={zoomTo} />
    </div>
  )
}
