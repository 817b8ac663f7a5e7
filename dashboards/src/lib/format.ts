// Numbers, durations, sizes and instants as people read them. Pure; the zone is always passed in.

export type Zone = 'utc' | 'local'

const EM_DASH = '–'

export function formatNumber(value: number | null | undefined, digits = 3): string {
  if (value === null || value === undefined || Number.isNaN(value)) return EM_DASH
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  const size = Math.abs(value)
  if (size === 0) return '0'
  for (const [limit, suffix] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e4, 'k']] as const) {
    if (size >= limit) return trim(value / (suffix === 'k' ? 1e3 : limit), 3) + suffix
  }
  if (size >= 100) return trim(value, Math.max(digits, String(Math.trunc(size)).length))
  if (size >= 0.001) return trim(value, digits)
  return value.toExponential(2)
}

function trim(value: number, digits: number): string {
  return String(Number(value.toPrecision(digits)))
}

export function formatCount(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return EM_DASH
  return Math.abs(value) < 100_000 ? Math.round(value).toLocaleString('en-US') : formatNumber(value)
}

/** 0.0123 -> "1.23 %". */
export function formatShare(ratio: number | null | undefined): string {
  if (ratio === null || ratio === undefined || Number.isNaN(ratio)) return EM_DASH
  const percent = ratio * 100
  if (percent === 0) return '0 %'
  if (percent < 0.01) return '<0.01 %'
  return `${percent >= 10 ? percent.toFixed(1) : percent.toFixed(2)} %`
}

export function formatBytes(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined || Number.isNaN(bytes)) return EM_DASH
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : trim(value, 3)} ${units[unit]}`
}

/** Milliseconds -> "1.24 s", "430 µs", "2 m 5 s". */
export function formatDuration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return EM_DASH
  if (ms === 0) return '0 ms'
  if (ms < 0.001) return `${Math.round(ms * 1e6)} ns`
  if (ms < 1) return `${trim(ms * 1000, 3)} µs`
  if (ms < 1000) return `${trim(ms, 3)} ms`
  if (ms < 60_000) return `${trim(ms / 1000, 3)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return pair(Math.floor(seconds / 60), 'm', seconds % 60, 's')
  if (seconds < 86_400) return pair(Math.floor(seconds / 3600), 'h', Math.floor((seconds % 3600) / 60), 'm')
  return pair(Math.floor(seconds / 86_400), 'd', Math.floor((seconds % 86_400) / 3600), 'h')
}

function pair(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`
}

/** "12 s ago", "3 h ago", "in 2 m". One unit only. */
export function formatAgo(ms: number | null | undefined, nowMs: number): string {
  if (!ms) return EM_DASH
  const delta = nowMs - ms
  const size = Math.abs(delta)
  if (size < 1000) return 'now'
  let text: string
  if (size < 60_000) text = `${Math.floor(size / 1000)} s`
  else if (size < 3_600_000) text = `${Math.floor(size / 60_000)} m`
  else if (size < 86_400_000) text = `${Math.floor(size / 3_600_000)} h`
  else text = `${Math.floor(size / 86_400_000)} d`
  return delta >= 0 ? `${text} ago` : `in ${text}`
}

const two = (n: number) => String(n).padStart(2, '0')

interface Parts { y: number; mo: number; d: number; h: number; mi: number; s: number; ms: number }

function parts(ms: number, zone: Zone): Parts {
  const t = new Date(ms)
  return zone === 'utc'
    ? { y: t.getUTCFullYear(), mo: t.getUTCMonth() + 1, d: t.getUTCDate(), h: t.getUTCHours(), mi: t.getUTCMinutes(), s: t.getUTCSeconds(), ms: t.getUTCMilliseconds() }
    : { y: t.getFullYear(), mo: t.getMonth() + 1, d: t.getDate(), h: t.getHours(), mi: t.getMinutes(), s: t.getSeconds(), ms: t.getMilliseconds() }
}

/** "+02:00", or "UTC". */
export function zoneOffset(ms: number, zone: Zone): string {
  if (zone === 'utc') return 'UTC'
  const minutes = -new Date(ms).getTimezoneOffset()
  const size = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`
}

export function formatClock(ms: number, zone: Zone, withMillis = false): string {
  const p = parts(ms, zone)
  const clock = `${two(p.h)}:${two(p.mi)}:${two(p.s)}`
  return withMillis ? `${clock}.${String(p.ms).padStart(3, '0')}` : clock
}

export function formatDate(ms: number, zone: Zone): string {
  const p = parts(ms, zone)
  return `${p.y}-${two(p.mo)}-${two(p.d)}`
}

export function formatInstant(ms: number, zone: Zone, withMillis = false): string {
  return `${formatDate(ms, zone)} ${formatClock(ms, zone, withMillis)}`
}

/** With the offset: for tooltips and details, where an instant must be unambiguous. */
export function formatInstantFull(ms: number, zone: Zone): string {
  return `${formatInstant(ms, zone, true)} ${zoneOffset(ms, zone)}`
}

/** Axis tick: the shortest text that tells ticks `stepMs` apart from each other. */
export function formatTick(ms: number, stepMs: number, zone: Zone): string {
  const p = parts(ms, zone)
  if (stepMs >= 86_400_000 || (p.h === 0 && p.mi === 0 && p.s === 0)) return `${two(p.mo)}-${two(p.d)}`
  return stepMs >= 60_000 ? `${two(p.h)}:${two(p.mi)}` : `${two(p.h)}:${two(p.mi)}:${two(p.s)}`
}

/** Ticks at round instants of the zone, at most `wanted` of them. */
export function timeTicks(startMs: number, endMs: number, wanted: number, zone: Zone): { ms: number; text: string }[] {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800]
  const width = endMs - startMs
  const step = (steps.find((s) => width / (s * 1000) <= wanted) ?? 604_800) * 1000
  const shift = zone === 'utc' ? 0 : -new Date(startMs).getTimezoneOffset() * 60_000
  const ticks = []
  for (let at = Math.ceil((startMs + shift) / step) * step - shift; at <= endMs; at += step) {
    ticks.push({ ms: at, text: formatTick(at, step, zone) })
  }
  return ticks
}
