// The Prometheus HTTP API as it stands: queries, rules, alerts.
import { getJson, type Params } from './client'

export type Labels = Record<string, string>
export type Point = [number, string]
export interface Series { metric: Labels; values?: Point[]; value?: Point; histogram?: unknown; histograms?: unknown[] }

export interface QueryResult {
  resultType: 'matrix' | 'vector' | 'scalar' | 'string'
  series: Series[]
  warnings: string[]
}

interface Envelope<T> { status: string; data: T; warnings?: string[]; infos?: string[] }

async function call<T>(path: string, params: Params, signal?: AbortSignal): Promise<Envelope<T>> {
  return getJson<Envelope<T>>(`/api/v1/${path}`, params, signal)
}

function shape(envelope: Envelope<{ resultType: string; result: unknown }>): QueryResult {
  const { resultType, result } = envelope.data
  const warnings = [...(envelope.warnings ?? []), ...(envelope.infos ?? [])]
  if (resultType === 'scalar' || resultType === 'string') {
    return { resultType, series: [{ metric: {}, value: result as Point }], warnings }
  }
  return { resultType: resultType as QueryResult['resultType'], series: (result as Series[] | null) ?? [], warnings }
}

export async function queryInstant(expr: string, timeMs: number, signal?: AbortSignal): Promise<QueryResult> {
  return shape(await call('query', { query: expr, time: timeMs / 1000 }, signal))
}

export async function queryRange(expr: string, startMs: number, endMs: number, stepSeconds: number, signal?: AbortSignal): Promise<QueryResult> {
  // Aligned to the step, so that a refresh moves points instead of jittering them.
  const start = Math.floor(startMs / 1000 / stepSeconds) * stepSeconds
  const end = Math.floor(endMs / 1000 / stepSeconds) * stepSeconds
  return shape(await call('query_range', { query: expr, start, end, step: stepSeconds }, signal))
}

export async function getLabelValues(label: string, signal?: AbortSignal): Promise<string[]> {
  return (await call<string[] | null>(`label/${encodeURIComponent(label)}/values`, {}, signal)).data ?? []
}

export interface Alert {
  labels: Labels
  annotations?: Labels
  state: string
  activeAt?: string
  value?: string
}

export interface Rule {
  type: 'alerting' | 'recording'
  name: string
  query: string
  duration?: number
  labels?: Labels
  annotations?: Labels
  alerts?: Alert[]
  state?: 'firing' | 'pending' | 'inactive' | 'unknown'
  health?: string
  lastError?: string
  lastEvaluation?: string
  evaluationTime?: number
}

export interface RuleGroup { name: string; file?: string; interval?: number; rules: Rule[] }

export async function getRules(signal?: AbortSignal): Promise<RuleGroup[]> {
  return (await call<{ groups?: RuleGroup[] }>('rules', {}, signal)).data.groups ?? []
}
