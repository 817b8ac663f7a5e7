// The Tempo API: trace search, and one trace as OTLP JSON.
import type { Span, SpanEvent } from '../lib/trace'
import { getJson } from './client'

export interface TraceSummary {
  traceID: string
  rootServiceName?: string
  rootTraceName?: string
  startTimeUnixNano?: string
  durationMs?: number
  spanSet?: SpanSet
  spanSets?: SpanSet[]
  serviceStats?: Record<string, { spanCount?: number; errorCount?: number }>
}

interface SpanSet { matched?: number; spans?: { spanID: string; name?: string; durationNanos?: string }[] }

export interface TraceFilter {
  service?: string | undefined
  name?: string | undefined
  minDuration?: string | undefined
  maxDuration?: string | undefined
  status?: string | undefined
  environment?: string | undefined
  start: number
  end: number
  limit: number
}

export async function searchTraces(filter: TraceFilter, signal?: AbortSignal): Promise<TraceSummary[]> {
  return (await getJson<{ traces?: TraceSummary[] | null }>('/tempo/api/search', { ...filter }, signal)).traces ?? []
}

export async function getTrace(id: string, signal?: AbortSignal): Promise<Span[]> {
  return toSpans(await getJson<OtlpTrace>(`/tempo/api/traces/${encodeURIComponent(id)}`, {}, signal))
}

interface AnyValue {
  stringValue?: string
  boolValue?: boolean
  intValue?: string | number
  doubleValue?: number
  bytesValue?: string
  arrayValue?: { values?: AnyValue[] }
  kvlistValue?: { values?: KeyValue[] }
}
interface KeyValue { key: string; value?: AnyValue }
interface OtlpSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  name?: string
  kind?: string | number
  startTimeUnixNano?: string | number
  endTimeUnixNano?: string | number
  attributes?: KeyValue[]
  events?: { name?: string; timeUnixNano?: string | number; attributes?: KeyValue[] }[]
  status?: { code?: string | number; message?: string }
}
interface Batch {
  resource?: { attributes?: KeyValue[] }
  scopeSpans?: { scope?: { name?: string }; spans?: OtlpSpan[] }[]
}
export interface OtlpTrace { batches?: Batch[]; resourceSpans?: Batch[]; trace?: OtlpTrace }

export function toSpans(trace: OtlpTrace): Span[] {
  const body = trace.trace ?? trace
  const spans: Span[] = []
  for (const batch of body.batches ?? body.resourceSpans ?? []) {
    const resource = toPairs(batch.resource?.attributes)
    const service = resource.find(([key]) => key === 'service.name')?.[1] ?? 'unknown'
    for (const { scope, spans: found } of batch.scopeSpans ?? []) {
      for (const span of found ?? []) spans.push(toSpan(span, service, resource, scope?.name ?? ''))
    }
  }
  return spans
}

function toSpan(span: OtlpSpan, service: string, resource: [string, string][], scope: string): Span {
  const startMs = nanoToMs(span.startTimeUnixNano)
  return {
    traceId: toHexId(span.traceId, 16),
    spanId: toHexId(span.spanId, 8),
    parentSpanId: toHexId(span.parentSpanId ?? '', 8),
    name: span.name ?? '',
    service,
    kind: kindName(span.kind),
    startMs,
    endMs: Math.max(startMs, nanoToMs(span.endTimeUnixNano)),
    error: span.status?.code === 2 || span.status?.code === 'STATUS_CODE_ERROR',
    statusMessage: span.status?.message ?? '',
    attributes: toPairs(span.attributes),
    resource,
    scope,
    events: (span.events ?? []).map((event): SpanEvent => ({
      name: event.name ?? '',
      timeMs: nanoToMs(event.timeUnixNano),
      attributes: toPairs(event.attributes),
    })),
  }
}

/** Hex stays hex (in lower case); base64 of exactly `bytes` bytes becomes hex; all zeros means none. */
export function toHexId(id: string, bytes: number): string {
  if (id === '') return ''
  let hex = id.toLowerCase()
  if (!(id.length === bytes * 2 && /^[0-9a-fA-F]+$/.test(id))) {
    try {
      const raw = atob(id.replace(/-/g, '+').replace(/_/g, '/'))
      if (raw.length === bytes) hex = [...raw].map((c) => c.charCodeAt(0).toString(16).padStart(2, '0')).join('')
    } catch {
      return hex
    }
  }
  return /^0+$/.test(hex) ? '' : hex
}

/** Milliseconds with a fraction; microseconds survive the double, which is enough to draw and to subtract. */
export function nanoToMs(nano: string | number | undefined): number {
  if (nano === undefined) return 0
  const text = String(nano)
  return text.length > 6 && /^\d+$/.test(text) ? Number(text.slice(0, -6)) + Number(text.slice(-6)) / 1e6 : Number(text) / 1e6
}

const KINDS = ['unspecified', 'internal', 'server', 'client', 'producer', 'consumer']

function kindName(kind: string | number | undefined): string {
  if (typeof kind === 'number') return KINDS[kind] ?? 'unspecified'
  return (kind ?? 'unspecified').replace('SPAN_KIND_', '').toLowerCase()
}

function toPairs(attributes: KeyValue[] | undefined): [string, string][] {
  return (attributes ?? []).map(({ key, value }) => [key, anyText(value)])
}

function anyText(value: AnyValue | undefined): string {
  if (!value) return ''
  if (value.stringValue !== undefined) return value.stringValue
  if (value.boolValue !== undefined) return String(value.boolValue)
  if (value.intValue !== undefined) return String(value.intValue)
  if (value.doubleValue !== undefined) return String(value.doubleValue)
  if (value.bytesValue !== undefined) return value.bytesValue
  if (value.arrayValue) return `[${(value.arrayValue.values ?? []).map(anyText).join(', ')}]`
  if (value.kvlistValue) return `{${(value.kvlistValue.values ?? []).map((kv) => `${kv.key}: ${anyText(kv.value)}`).join(', ')}}`
  return ''
}
