import type { Search } from '../../lib/url'

const MARGIN_MS = 60_000

/** The logs of a trace or of one span, with a minute of margin for late lines. The environment is left to the trace id. */
export function logsLink(traceId: string, startMs: number, endMs: number, spanId?: string): Search {
  const span = spanId ? ` | span_id="${spanId}"` : ''
  return {
    q: `| trace_id="${traceId}"${span}`,
    from: new Date(startMs - MARGIN_MS).toISOString(),
    to: new Date(endMs + MARGIN_MS).toISOString(),
    env: undefined as never,
  }
}
