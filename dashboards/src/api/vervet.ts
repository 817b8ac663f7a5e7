// Our own API: status, services, error groups.
import { getJson, postJson } from './client'

export interface TableStatus { rows_head?: number; rows_stored?: number; files?: number; bytes?: number }
export interface AgentStatus { agent_id: string; host_name?: string; last_seen_unix_ms?: number; version?: string }

export interface Status {
  version?: string
  started_unix_ms?: number
  uptime_seconds?: number
  environment?: string
  tables?: Record<string, TableStatus>
  journal?: Record<string, unknown>
  agents?: AgentStatus[]
}

export interface ServiceRow {
  service_name: string
  environment?: string
  requests?: number
  errors?: number
  rate?: number
  error_ratio?: number
  p50_ms?: number | null
  p99_ms?: number | null
  log_records?: number
  log_errors?: number
  new_errors?: number
  firing_alerts?: number
  last_seen_unix_ms?: number
  sparkline?: number[]
}

export type ErrorState = 'open' | 'resolved' | 'ignored'
export type ErrorSort = 'last_seen' | 'first_seen' | 'count'

export interface ErrorGroup {
  id: string
  title: string
  culprit?: string
  exception_type?: string
  message?: string
  level?: string
  service_name?: string
  state: ErrorState
  regressed?: boolean
  count: number
  first_seen_unix_ms?: number
  last_seen_unix_ms?: number
  first_version?: string
  last_version?: string
  environments?: string[]
  sparkline?: number[]
}

export interface Frame {
  function?: string
  module?: string
  file?: string
  line?: number
  column?: number
  in_app?: boolean
}

export interface ErrorEvent {
  id: string
  time_unix_ms: number
  source?: string
  service_version?: string
  environment?: string
  host_name?: string
  trace_id?: string
  span_id?: string
  message?: string
  exception_type?: string
  frames?: Frame[]
  stacktrace?: string
  attributes?: Record<string, unknown>
}

export interface KeyCount { key: string; count: number }

export interface ErrorDetail {
  group: ErrorGroup
  grouping?: { version?: string | number; explanation?: string[] }
  counts_by_version?: KeyCount[]
  counts_by_environment?: KeyCount[]
  events?: ErrorEvent[]
}

export interface ErrorFilter {
  service?: string | undefined
  environment?: string | undefined
  state?: string | undefined
  q?: string | undefined
  start?: number | undefined
  end?: number | undefined
  limit?: number | undefined
  offset?: number | undefined
  sort?: string | undefined
}

const BASE = '/api/vervet/v1'

export const getStatus = (signal?: AbortSignal) => getJson<Status>(`${BASE}/status`, {}, signal)

export async function getServices(startMs: number, endMs: number, signal?: AbortSignal): Promise<ServiceRow[]> {
  const body = await getJson<{ services?: ServiceRow[] }>(`${BASE}/services`, { start: seconds(startMs), end: seconds(endMs) }, signal)
  return body.services ?? []
}

export async function getErrors(filter: ErrorFilter, signal?: AbortSignal): Promise<{ groups: ErrorGroup[]; total: number }> {
  const body = await getJson<{ groups?: ErrorGroup[]; total?: number }>(`${BASE}/errors`, { ...filter }, signal)
  const groups = body.groups ?? []
  return { groups, total: body.total ?? groups.length }
}

export const getError = (id: string, signal?: AbortSignal) =>
  getJson<ErrorDetail>(`${BASE}/errors/${encodeURIComponent(id)}`, {}, signal)

export const changeError = (id: string, action: 'resolve' | 'reopen' | 'ignore') =>
  postJson<{ group: ErrorGroup }>(`${BASE}/errors/${encodeURIComponent(id)}/${action}`, {})

export const seconds = (ms: number) => Math.floor(ms / 1000)
