import { describe, expect, it } from 'vitest'
import { isRelative, niceStepSeconds, parseDuration, parseTime, resolveRange, shiftRange, toPromDuration, zoomOut } from '../src/lib/time'

const NOW = Date.UTC(2026, 4, 1, 14, 30, 15)

describe('parseTime', () => {
  it.each([
    ['now', NOW],
    ['now-1h', NOW - 3_600_000],
    ['now+5m', NOW + 300_000],
    ['now-1d/d', Date.UTC(2026, 3, 30)],
    ['now/h', Date.UTC(2026, 4, 1, 14)],
    ['1777645815', 1_777_645_815_000],
    ['1777645815123', 1_777_645_815_123],
    ['1777645815123456789', 1_777_645_815_123],
    ['2026-05-01', Date.UTC(2026, 4, 1)],
    ['2026-05-01 14:30', Date.UTC(2026, 4, 1, 14, 30)],
    ['2026-05-01T14:30:00+02:00', Date.UTC(2026, 4, 1, 12, 30)],
  ])('reads %s', (text, expected) => expect(parseTime(text, NOW)).toBe(expected))

  it.each(['', 'yesterday', 'now-', 'now-1x', '12', 'now-1h2m'])('refuses %j', (text) => expect(parseTime(text, NOW)).toBeUndefined())

  it('rounds the end of a range up', () => expect(parseTime('now/d', NOW, true)).toBe(Date.UTC(2026, 4, 2) - 1))
})

describe('resolveRange', () => {
  it('is the last hour by default', () => expect(resolveRange(undefined, undefined, NOW)).toEqual({ startMs: NOW - 3_600_000, endMs: NOW }))
  it('replaces an empty or reversed range', () => {
    expect(resolveRange('now', 'now-1h', NOW)).toEqual({ startMs: NOW - 7_200_000, endMs: NOW - 3_600_000 })
    expect(resolveRange('nonsense', 'now', NOW).startMs).toBe(NOW - 3_600_000)
  })
  it('covers a whole day', () => {
    const { startMs, endMs } = resolveRange('now-1d/d', 'now-1d/d', NOW)
    expect(endMs - startMs).toBe(86_400_000 - 1)
  })
})

describe('durations', () => {
  it.each([['100ms', 100], ['1.5s', 1500], ['1h30m', 5_400_000], ['250us', 0.25], ['2d', 172_800_000]])('reads %s', (text, ms) => expect(parseDuration(text)).toBeCloseTo(ms, 6))
  it.each(['', 'abc', '5', '5 parsecs', '1h x'])('refuses %j', (text) => expect(parseDuration(text)).toBeUndefined())
  it('writes Prometheus notation', () => {
    expect(toPromDuration(90_000)).toBe('1m30s')
    expect(toPromDuration(86_400_000)).toBe('1d')
    expect(parseDuration(toPromDuration(3_723_004))).toBe(3_723_004)
  })
})

describe('ranges', () => {
  const range = { startMs: NOW - 3_600_000, endMs: NOW }
  it('picks a step that stays under the number of points', () => {
    expect(niceStepSeconds(range, 240)).toBe(15)
    expect(niceStepSeconds(range, 60)).toBe(60)
    expect(niceStepSeconds({ startMs: 0, endMs: 60_000 }, 240)).toBe(1)
  })
  it('shifts by half', () => expect(shiftRange(range, -1)).toEqual({ startMs: NOW - 5_400_000, endMs: NOW - 1_800_000 }))
  it('zooms out, not past the present', () => expect(zoomOut(range, NOW)).toEqual({ startMs: NOW - 7_200_000, endMs: NOW }))
  it('knows relative expressions', () => expect([isRelative('now-5m'), isRelative('2026-05-01')]).toEqual([true, false]))
})
