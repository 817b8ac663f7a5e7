// The Loki query API: log lines and counts over time.
import { getJson } from './client'

export interface LogRow {
  /** Unique in a result: time, position among equal times, stream. */
  key: string
  /** Nanoseconds since the epoch, as text: it does not fit a double. */
  ns: string
  timeMs: number
  line: string
  stream: Record<string, string>
  meta: Record<string, string>
}

export interface CountSeries { labels: Record<string, string>; points: [ms: number, count: number][] }

type Streams = { stream: Record<string, string>; values: [string, string, (Record<string, string> | { structuredMetadata?: Record<string, string> })?][] }[]
type Matrix = { metric: Record<string, string>; values: [number, string][] }[]

interface Answer { status: string; data: { resultType: 'streams' | 'matrix' | 'vector'; result: Streams | Matrix } }

export type Direction = 'backward' | 'forward'

/** Asks for structured metadata beside each line; without it they count as labels and split streams. */
const CATEGORIZED = { 'x-loki-response-encoding-flags': 'categorize-labels' }

export async function queryLogs(
  query: string, startNs: string, endNs: string, limit: number, direction: Direction, signal?: AbortSignal,
): Promise<LogRow[]> {
  const answer = await getJson<Answer>('/loki/api/v1/query_range', { query, start: startNs, end: endNs, limit, direction }, signal, CATEGORIZED)
  if (answer.data.resultType !== 'streams') return []
  return toRows((answer.data.result as Streams | null) ?? [], direction)
}

export function toRows(streams: Streams, direction: Direction): LogRow[] {
  const rows: LogRow[] = []
  for (const { stream, values } of streams) {
    const id = Object.entries(stream).sort().map(([k, v]) => `${k}=${v}`).join(',')
    const sameTime = new Map<string, number>()
    for (const [ns, line, extra] of values) {
      const nth = sameTime.get(ns) ?? 0
      sameTime.set(ns, nth + 1)
      rows.push({ key: `${ns}.${nth}.${hash(id)}`, ns, timeMs: Number(ns.slice(0, -6)), line, stream, meta: metaOf(extra) })
    }
  }
  const sign = direction === 'backward' ? -1 : 1
  // Sorting as text is right for equal lengths, and spares a BigInt per row.
  return rows.sort((a, b) => sign * (a.ns.length - b.ns.length || (a.ns < b.ns ? -1 : a.ns > b.ns ? 1 : 0)))
}

function metaOf(extra: Streams[number]['values'][number][2]): Record<string, string> {
  if (!extra) return {}
  const nested = (extra as { structuredMetadata?: unknown }).structuredMetadata
  return (nested && typeof nested === 'object' ? nested : extra) as Record<string, string>
}

function hash(text: string): string {
  let h = 2166136261
  for (let i = 0; i < text.length; i += 1) h = Math.imul(h ^ text.charCodeAt(i), 16777619)
  return (h >>> 0).toString(36)
}

export async function queryCounts(query: string, startMs: number, endMs: number, stepSeconds: number, signal?: AbortSignal): Promise<CountSeries[]> {
  const params = { query, start: toNs(startMs), end: toNs(endMs), step: stepSeconds }
  const answer = await getJson<Answer>('/loki/api/v1/query_range', params, signal)
  if (answer.data.resultType !== 'matrix') return []
  return ((answer.data.result as Matrix | null) ?? []).map(({ metric, values }) => ({
    labels: metric,
    points: values.map(([at, count]) => [at * 1000, Number(count)]),
  }))
}

export async function getLogLabelValues(label: string, startMs: number, endMs: number, signal?: AbortSignal): Promise<string[]> {
  const path = `/loki/api/v1/label/${encodeURIComponent(label)}/values`
  return (await getJson<{ data?: string[] | null }>(path, { start: toNs(startMs), end: toNs(endMs) }, signal)).data ?? []
}

export const toNs = (ms: number) => `${Math.floor(ms)}000000`
