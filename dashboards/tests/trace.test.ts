import { describe, expect, it } from 'vitest'
import { buildTree, selfTimeMs, visibleRows, type Span } from '../src/lib/trace'
import { nanoToMs, toHexId, toSpans } from '../src/api/tempo'

const span = (spanId: string, parentSpanId: string, startMs: number, endMs: number, extra: Partial<Span> = {}): Span => ({
  traceId: 't', spanId, parentSpanId, name: spanId, service: 's', kind: 'internal', startMs, endMs, error: false, statusMessage: '', attributes: [], resource: [], scope: '', events: [], ...extra,
})
const names = (spans: Span[], collapsed = new Set<string>()) => visibleRows(buildTree(spans), collapsed).map((row) => `${'.'.repeat(row.depth)}${row.span.spanId}`)

describe('buildTree', () => {
  it('orders children by start, whatever the arrival', () => expect(names([span('c', 'a', 5, 6), span('b', 'a', 1, 2), span('a', '', 0, 10), span('d', 'b', 1, 2)])).toEqual(['a', '.b', '..d', '.c']))
  it('draws orphans, and says so', () => {
    const tree = buildTree([span('a', '', 0, 1), span('x', 'gone', 2, 3)])
    expect(tree.roots.map((r) => [r.span.spanId, r.orphan])).toEqual([['a', false], ['x', true]])
  })
  it('draws every span of a cycle once', () => expect(names([span('a', 'b', 0, 1), span('b', 'a', 0, 1), span('s', 's', 0, 1)]).length).toBe(3))
  it('drops duplicates', () => expect(buildTree([span('a', '', 0, 1), span('a', '', 0, 1)]).spans).toBe(1))
  it('survives a chain of 20,000', () => {
    const chain = Array.from({ length: 20_000 }, (_, i) => span(`s${i}`, i === 0 ? '' : `s${i - 1}`, i, 20_000))
    const tree = buildTree(chain)
    expect([visibleRows(tree, new Set()).length, tree.roots[0]?.descendants]).toEqual([20_000, 19_999])
  })
  it('sums up', () => {
    const tree = buildTree([span('a', '', 10, 50), span('b', 'a', 5, 60, { service: 'x', error: true })])
    expect([tree.startMs, tree.endMs, tree.errors, tree.roots[0]?.errorBelow, tree.services.length]).toEqual([5, 60, 1, true, 2])
  })
  it('is empty for no spans', () => expect(buildTree([])).toMatchObject({ spans: 0, startMs: 0, endMs: 0, roots: [] }))
  it('hides what is below a collapsed span', () => expect(names([span('a', '', 0, 9), span('b', 'a', 1, 2), span('c', 'b', 1, 2), span('d', 'a', 3, 4)], new Set(['b']))).toEqual(['a', '.b', '.d']))
  it('marks the chain that decided the duration', () => {
    const tree = buildTree([span('a', '', 0, 10), span('fast', 'a', 0, 4), span('slow', 'a', 1, 9), span('inner', 'slow', 2, 9)])
    expect(['a', 'fast', 'slow', 'inner'].map((id) => tree.byId.get(id)?.critical)).toEqual([true, false, true, true])
  })
})

describe('selfTimeMs', () => {
  it('counts overlapping children once and clips them', () => {
    const tree = buildTree([span('a', '', 0, 10), span('b', 'a', 1, 4), span('c', 'a', 3, 6), span('d', 'a', 9, 99)])
    expect(selfTimeMs(tree.byId.get('a')!)).toBe(4)
  })
})

describe('OTLP JSON', () => {
  it('reads ids as hex or base64', () => {
    expect(toHexId('0AF7651916CD43DD8448EB211C80319C', 16)).toBe('0af7651916cd43dd8448eb211c80319c')
    expect(toHexId('CvdlGRbNQ92ESOshHIAxnA==', 16)).toBe('0af7651916cd43dd8448eb211c80319c')
    expect(toHexId('0000000000000000', 8)).toBe('')
    expect(toHexId('', 8)).toBe('')
  })
  it('keeps microseconds of nanoseconds since the epoch', () => expect(nanoToMs('1777645815123456789')).toBeCloseTo(1_777_645_815_123.456, 2))
  it('takes service, status and nested values', () => {
    const [only] = toSpans({ resourceSpans: [{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'api' } }] }, scopeSpans: [{ spans: [{
      traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331', name: 'GET /', kind: 2, startTimeUnixNano: '1000000', endTimeUnixNano: '3000000', status: { code: 'STATUS_CODE_ERROR', message: 'no' },
      attributes: [{ key: 'n', value: { intValue: '7' } }, { key: 'l', value: { arrayValue: { values: [{ boolValue: true }, { doubleValue: 0.5 }] } } }],
    }] }] }] })
    expect(only).toMatchObject({ service: 'api', kind: 'server', error: true, statusMessage: 'no', startMs: 1, endMs: 3, attributes: [['n', '7'], ['l', '[true, 0.5]']] })
  })
})
