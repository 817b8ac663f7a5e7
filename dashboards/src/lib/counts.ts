// Counts per level and service, shaped for the histogram and the facets.
import type { CountSeries } from '../api/loki'
import { normalizeLevel, type Level } from './levels'

export interface Bucket {
  startMs: number
  counts: Partial<Record<Level, number>>
  total: number
}

export interface Facet { value: string; count: number }

export function shapeCounts(series: CountSeries[], stepMs: number, services: string[], levels: string[]) {
  const buckets = new Map<number, Bucket>()
  const byLevel = new Map<string, number>()
  const byService = new Map<string, number>()
  let total = 0
  for (const { labels, points } of series) {
    const level = labels['level'] ?? 'unknown'
    const service = labels['service_name'] ?? 'unknown'
    const levelChosen = levels.length === 0 || levels.includes(level)
    const serviceChosen = services.length === 0 || services.includes(service)
    const sum = points.reduce((acc, [, n]) => acc + n, 0)
    // Each facet counts under the other facets' choices, not under its own.
    if (serviceChosen) byLevel.set(level, (byLevel.get(level) ?? 0) + sum)
    if (levelChosen) byService.set(service, (byService.get(service) ?? 0) + sum)
    if (!levelChosen || !serviceChosen) continue
    total += sum
    for (const [ms, n] of points) addToBucket(buckets, ms - stepMs, normalizeLevel(level), n)
  }
  return { buckets: [...buckets.values()].sort((a, b) => a.startMs - b.startMs), byLevel: toFacets(byLevel), byService: toFacets(byService), total }
}

function addToBucket(buckets: Map<number, Bucket>, startMs: number, level: Level, n: number) {
  const bucket = buckets.get(startMs) ?? { startMs, counts: {}, total: 0 }
  bucket.counts[level] = (bucket.counts[level] ?? 0) + n
  bucket.total += n
  buckets.set(startMs, bucket)
}

const toFacets = (counts: Map<string, number>): Facet[] =>
  [...counts].map(([value, count]) => ({ value, count })).sort((a, b) => b.count - a.count)
