// Log levels, ordered from loud to quiet. Unknown words sort last and are shown as they came.

export const LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'unknown'] as const
export type Level = (typeof LEVELS)[number]

const ALIASES: Record<string, Level> = {
  fatal: 'fatal', critical: 'fatal', crit: 'fatal', emergency: 'fatal', emerg: 'fatal', alert: 'fatal', panic: 'fatal',
  error: 'error', err: 'error', severe: 'error',
  warn: 'warn', warning: 'warn',
  info: 'info', information: 'info', notice: 'info', log: 'info',
  debug: 'debug', dbg: 'debug', verbose: 'debug',
  trace: 'trace', trc: 'trace',
}

export function normalizeLevel(level: string | undefined): Level {
  return ALIASES[(level ?? '').toLowerCase()] ?? 'unknown'
}

export function compareLevels(a: Level, b: Level): number {
  return LEVELS.indexOf(a) - LEVELS.indexOf(b)
}

export function levelColor(level: Level): string {
  return `var(--level-${level})`
}
