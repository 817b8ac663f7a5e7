// What the log page asks: pages of lines, and one count query that feeds the histogram and the facets.
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { queryCounts, queryLogs, toNs, type Direction, type LogRow } from '../../api/loki'
import { useRange, useUrlState } from '../../app/state'
import { shapeCounts } from '../../lib/counts'
import { buildLogQL, countQuery, queryKind } from '../../lib/logql'
import { niceStepSeconds } from '../../lib/time'
import { splitList } from '../../lib/url'

export const PAGE_ROWS = 500
/** Chromium clamps very tall elements; far above what anyone scrolls through. */
const ROWS_MAX = 100_000

export function useLogPages() {
  const { startMs, endMs } = useRange()
  const [search] = useUrlState()
  const direction: Direction = search.dir === 'forward' ? 'forward' : 'backward'
  const query = buildLogQL(search.q ?? '', { env: search.env, services: splitList(search.service), levels: splitList(search.level) })
  const pages = useInfiniteQuery({
    queryKey: ['logs', query, startMs, endMs, direction],
    enabled: queryKind(search.q ?? '') !== 'metric',
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam, signal }) => {
      const start = direction === 'forward' && pageParam ? pageParam : toNs(startMs)
      // The end of a Loki range is exclusive: one more nanosecond keeps lines of the same instant; repeats are dropped below.
      const end = direction === 'backward' && pageParam ? String(BigInt(pageParam) + 1n) : toNs(endMs)
      return queryLogs(query, start, end, PAGE_ROWS, direction, signal)
    },
    getNextPageParam: (last, all) => (last.length < PAGE_ROWS || all.length * PAGE_ROWS >= ROWS_MAX ? undefined : last.at(-1)?.ns),
    placeholderData: (previous) => previous,
  })
  const rows = useMemo(() => dedupe(pages.data?.pages ?? []), [pages.data])
  return { pages, rows, query, direction }
}

function dedupe(pages: LogRow[][]): LogRow[] {
  const seen = new Set<string>()
  return pages.flat().filter((row) => !seen.has(row.key) && seen.add(row.key))
}

export function useLogCounts() {
  const { startMs, endMs } = useRange()
  const [search] = useUrlState()
  const stepSeconds = niceStepSeconds({ startMs, endMs }, 80)
  // Without the facets' own choices, so that the counts of what is not chosen stay visible.
  const query = countQuery(buildLogQL(search.q ?? '', { env: search.env }), stepSeconds)
  const counts = useQuery({
    queryKey: ['log-counts', query, startMs, endMs],
    enabled: queryKind(search.q ?? '') !== 'metric',
    // The value at t counts (t - step, t], so the first evaluation is one step in.
    queryFn: ({ signal }) => {
      const first = Math.floor(startMs / 1000 / stepSeconds) * stepSeconds + stepSeconds
      const last = Math.ceil(endMs / 1000 / stepSeconds) * stepSeconds
      return queryCounts(query, first * 1000, last * 1000, stepSeconds, signal)
    },
    placeholderData: (previous) => previous,
    retry: false,
  })
  const services = search.service
  const levels = search.level
  const shaped = useMemo(
    () => shapeCounts(counts.data ?? [], stepSeconds * 1000, splitList(services), splitList(levels)),
    [counts.data, stepSeconds, services, levels],
  )
  return { counts, stepMs: stepSeconds * 1000, ...shaped }
}
