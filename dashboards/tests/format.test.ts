import { describe, expect, it } from 'vitest'
import { formatAgo, formatBytes, formatCount, formatDuration, formatInstantFull, formatNumber, formatShare, timeTicks } from '../src/lib/format'

describe('numbers', () => {
  it.each([[0, '0'], [0.12345, '0.123'], [42, '42'], [1234, '1234'], [12_345, '12.3k'], [9_120_000, '9.12M'], [-4.1e9, '-4.1G'], [0.00001, '1.00e-5'], [Infinity, '+Inf'], [NaN, '–'], [undefined, '–']])('%s', (value, text) => expect(formatNumber(value)).toBe(text))
  it('groups small counts and shortens large ones', () => expect([formatCount(18_204), formatCount(18_204_112)]).toEqual(['18,204', '18.2M']))
  it.each([[0, '0 %'], [0.00001, '<0.01 %'], [0.0312, '3.12 %'], [0.5, '50.0 %'], [undefined, '–']])('share %s', (value, text) => expect(formatShare(value)).toBe(text))
  it.each([[0, '0 B'], [1536, '1.5 KiB'], [1_402_000_000, '1.31 GiB'], [500 * 1024 * 1024, '500 MiB']])('bytes %s', (value, text) => expect(formatBytes(value)).toBe(text))
})

describe('time', () => {
  it.each([[0, '0 ms'], [0.0005, '500 ns'], [0.25, '250 µs'], [12.345, '12.3 ms'], [1240, '1.24 s'], [125_000, '2 m 5 s'], [3_600_000, '1 h'], [90_000_000, '1 d 1 h'], [null, '–']])('duration %s', (ms, text) => expect(formatDuration(ms)).toBe(text))
  it('says how long ago', () => {
    expect(formatAgo(1_000_000 - 90_000, 1_000_000)).toBe('1 m ago')
    expect(formatAgo(1_000_000 + 5000, 1_000_000)).toBe('in 5 s')
    expect(formatAgo(undefined, 1)).toBe('–')
  })
  it('writes the zone beside the instant', () => expect(formatInstantFull(Date.UTC(2026, 0, 2, 3, 4, 5, 6), 'utc')).toBe('2026-01-02 03:04:05.006 UTC'))
  it('puts ticks at round instants within the range', () => {
    const start = Date.UTC(2026, 0, 1, 10, 7)
    const ticks = timeTicks(start, start + 3_600_000, 6, 'utc')
    expect(ticks.map((t) => t.text)).toEqual(['10:10', '10:20', '10:30', '10:40', '10:50', '11:00'])
  })
})
