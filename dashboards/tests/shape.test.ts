import { describe, expect, it } from 'vitest'
import { toRows } from '../src/api/loki'
import { environmentKind } from '../src/app/environments'
import { normalizeLevel } from '../src/lib/levels'
import { commonLabels, seriesName } from '../src/lib/series'
import { withGaps } from '../src/lib/points'
import { foldFrames } from '../src/lib/frames'
import { shapeCounts } from '../src/lib/counts'

describe('log rows', () => {
  const streams = [
    { stream: { service_name: 'a' }, values: [['200000000', 'second', { trace_id: 't' }], ['100000000', 'first']] },
    { stream: { service_name: 'b' }, values: [['200000000', 'other', { structuredMetadata: { k: 'v' } }], ['200000000', 'other']] },
  ] as Parameters<typeof toRows>[0]
  it('merges streams in time order, with a key for each', () => {
    const rows = toRows(streams, 'backward')
    expect(rows.map((r) => r.line)).toEqual(['second', 'other', 'other', 'first'])
    expect(new Set(rows.map((r) => r.key)).size).toBe(4)
    expect(toRows(streams, 'forward')[0]?.line).toBe('first')
  })
  it('reads structured metadata in both shapes', () => expect(toRows(streams, 'backward').map((r) => r.meta)).toEqual([{ trace_id: 't' }, { k: 'v' }, {}, {}]))
})

describe('counts', () => {
  const series = [
    { labels: { level: 'error', service_name: 'a' }, points: [[60_000, 2], [120_000, 1]] as [number, number][] },
    { labels: { level: 'info', service_name: 'b' }, points: [[60_000, 5]] as [number, number][] },
  ]
  it('stacks buckets that begin one step before their value', () => {
    const { buckets, total } = shapeCounts(series, 60_000, [], [])
    expect(buckets.map((b) => [b.startMs, b.total])).toEqual([[0, 7], [60_000, 1]])
    expect(total).toBe(8)
  })
  it('keeps the counts of what is not chosen', () => {
    const { byLevel, byService, total } = shapeCounts(series, 60_000, [], ['error'])
    expect(byLevel).toEqual([{ value: 'info', count: 5 }, { value: 'error', count: 3 }])
    expect(byService).toEqual([{ value: 'a', count: 3 }])
    expect(total).toBe(3)
  })
})

describe('series', () => {
  it('is named as in PromQL, values quoted', () => expect(seriesName({ __name__: 'up', job: 'a"b', instance: 'x' })).toBe('up{instance="x", job="a\\"b"}'))
  it('says shared labels once', () => expect(commonLabels([{ a: '1', b: '2' }, { a: '1', b: '3' }])).toEqual({ a: '1' }))
  it('breaks the line where samples are missing', () => {
    const points = withGaps([[0, 1], [10, 2], [40, 3]], 10)
    expect(points.map(([t]) => t)).toEqual([0, 10, 20, 40])
    expect(points[2]?.[1]).toBeNaN()
  })
})

describe('stack frames', () => {
  it('folds library frames between those of the application', () => {
    const frames = [{ in_app: true }, { in_app: false }, { in_app: false }, { in_app: true }]
    expect(foldFrames(frames).map((r) => [r.at, r.app, r.frames.length])).toEqual([[0, true, 1], [1, false, 2], [3, true, 1]])
  })
  it('shows everything when no frame is the application', () => expect(foldFrames([{ in_app: false }, {}])).toHaveLength(1))
})

describe('words', () => {
  it.each([['WARNING', 'warn'], ['Err', 'error'], ['critical', 'fatal'], [undefined, 'unknown'], ['odd', 'unknown']])('level %s', (word, level) => expect(normalizeLevel(word)).toBe(level))
  it.each([['production', 'production'], ['prod-eu', 'production'], ['product-demo', 'other'], ['staging', 'staging'], ['dev', 'development']])('environment %s', (name, kind) => expect(environmentKind(name)).toBe(kind))
})
