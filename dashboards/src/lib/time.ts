// Time ranges as the URL holds them: relative ("now-1h", "now", "now-1d/d") or absolute (ISO 8601, or unix milliseconds).

export interface ResolvedRange {
  startMs: number
  endMs: number
}

const UNIT_MS: Record<string, number> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  M: 2_592_000_000,
  y: 31_536_000_000,
}

const RELATIVE = /^now(?:([+-])(\d{1,6})([smhdwMy]))?(?:\/([smhdw]))?$/

export const DEFAULT_FROM = 'now-1h'
export const DEFAULT_TO = 'now'

export function isRelative(expr: string): boolean {
  return RELATIVE.test(expr.trim())
}

/** Milliseconds since the epoch, or undefined when the expression is none. `roundUp` picks the end of a rounded unit. */
export function parseTime(expr: string, nowMs: number, roundUp = false): number | undefined {
  const text = expr.trim()
  if (text === '') return undefined
  const relative = RELATIVE.exec(text)
  if (relative) {
    const [, sign, amount, unit, round] = relative
    let at = nowMs
    if (sign && amount && unit) at += (sign === '-' ? -1 : 1) * Number(amount) * (UNIT_MS[unit] ?? 0)
    if (round) {
      const size = UNIT_MS[round] ?? 1
      at = Math.floor(at / size) * size + (roundUp ? size - 1 : 0)
    }
    return at
  }
  if (/^\d{10}$/.test(text)) return Number(text) * 1000
  if (/^\d{13}$/.test(text)) return Number(text)
  if (/^\d{19}$/.test(text)) return Math.floor(Number(text) / 1e6)
  // A date without an offset is read as UTC, so that a shared link means the same instant everywhere.
  const bare = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?))?$/.exec(text)
  // Date.parse accepts almost anything ("12" is December 2001); only ISO 8601 is a time here.
  if (!/^\d{4}-\d{2}-\d{2}/.test(text)) return undefined
  const parsed = Date.parse(bare ? `${bare[1]}T${bare[2] ?? '00:00'}Z` : text)
  return Number.isNaN(parsed) ? undefined : parsed
}

/** Falls back to the last hour for anything unreadable or empty; the end is always after the start. */
export function resolveRange(from: string | undefined, to: string | undefined, nowMs: number): ResolvedRange {
  const end = parseTime(to ?? DEFAULT_TO, nowMs, true) ?? nowMs
  const start = parseTime(from ?? DEFAULT_FROM, nowMs) ?? end - 3_600_000
  if (start >= end) return { startMs: end - 3_600_000, endMs: end }
  return { startMs: start, endMs: end }
}

const DURATION_UNITS: [string, number][] = [
  ['w', 604_800_000],
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
]

/** "1h30m" -> milliseconds; Prometheus notation, plus fractions and us/ns for span durations. */
export function parseDuration(text: string): number | undefined {
  const compact = text.trim().replace(/\s+/g, '')
  if (compact === '') return undefined
  const unitMs: Record<string, number> = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
  const pattern = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w)/gy
  let total = 0
  let end = 0
  for (let part = pattern.exec(compact); part; part = pattern.exec(compact)) {
    total += Number(part[1]) * (unitMs[part[2] ?? ''] ?? 0)
    end = pattern.lastIndex
  }
  return end === compact.length && end > 0 ? total : undefined
}

/** Milliseconds -> Prometheus notation ("90s" becomes "1m30s"). */
export function toPromDuration(ms: number): string {
  let rest = Math.max(1, Math.round(ms))
  let out = ''
  for (const [unit, size] of DURATION_UNITS) {
    const count = Math.floor(rest / size)
    if (count > 0) out += `${count}${unit}`
    rest -= count * size
  }
  return out
}

const NICE_STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800]

/** The smallest pleasant step, in seconds, that keeps a range under `pointsMax` points. */
export function niceStepSeconds(range: ResolvedRange, pointsMax: number, stepMin = 1): number {
  const wanted = Math.max(stepMin, (range.endMs - range.startMs) / 1000 / pointsMax)
  return NICE_STEPS_S.find((step) => step >= wanted) ?? Math.ceil(wanted / 604_800) * 604_800
}

/** Moves a range by half its width: the `[` and `]` keys. */
export function shiftRange(range: ResolvedRange, direction: -1 | 1): ResolvedRange {
  const by = ((range.endMs - range.startMs) / 2) * direction
  return { startMs: Math.round(range.startMs + by), endMs: Math.round(range.endMs + by) }
}

/** Doubles a range around its middle, never past `nowMs`. */
export function zoomOut(range: ResolvedRange, nowMs: number): ResolvedRange {
  const width = range.endMs - range.startMs
  const endMs = Math.min(nowMs, Math.round(range.endMs + width / 2))
  return { startMs: Math.round(endMs - width * 2), endMs }
}

export const PRESETS: { label: string; from: string }[] = [
  { label: 'Last 5 minutes', from: 'now-5m' },
  { label: 'Last 15 minutes', from: 'now-15m' },
  { label: 'Last 30 minutes', from: 'now-30m' },
  { label: 'Last hour', from: 'now-1h' },
  { label: 'Last 3 hours', from: 'now-3h' },
  { label: 'Last 6 hours', from: 'now-6h' },
  { label: 'Last 12 hours', from: 'now-12h' },
  { label: 'Last 24 hours', from: 'now-24h' },
  { label: 'Last 2 days', from: 'now-2d' },
  { label: 'Last 7 days', from: 'now-7d' },
  { label: 'Last 30 days', from: 'now-30d' },
]
