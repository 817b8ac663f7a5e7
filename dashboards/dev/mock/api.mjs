// The collector's API over the seeded data: enough of LogQL and PromQL to draw every page, nothing more.
import { errorDetail, makeErrors, makeLogs, makeTrace, random, rules, SERVICES, TRACE_IDS } from './data.mjs'

const BORN = Date.now()
const logs = makeLogs(BORN)
const traces = TRACE_IDS.map((_, i) => makeTrace(i, BORN))
const errors = makeErrors(BORN)

/** Ties lines to spans of the failed traces, so that the path error -> trace -> logs has something at its end. */
for (const trace of traces.filter((t) => t.error)) {
  trace.spans.forEach((span, i) => logs.push({
    ns: `${Math.floor(trace.start + span.at)}${String(i).padStart(6, '0')}`, line: span.failed ? `error in ${span.name}: upstream answered 502` : `${span.name} done in ${Math.round(span.duration)}ms`,
    stream: { service_name: span.service, deployment_environment_name: 'production', host_name: 'node-a1', level: span.failed ? 'error' : 'info' }, meta: { trace_id: span.traceId, span_id: span.spanId },
  }))
}
logs.sort((a, b) => (a.ns < b.ns ? 1 : -1))

const unescape = (text) => text.replace(/\\(.)/g, '$1')

/** Matchers, line filters and label filters of a LogQL string, as predicates. */
function logFilter(query) {
  const open = query.indexOf('{')
  const close = query.indexOf('}', open)
  if (open < 0 || close < 0) throw Object.assign(new Error('parse error at line 1, col 1: syntax error: unexpected IDENTIFIER'), { status: 400 })
  const tests = []
  const test = (key, op, value) => {
    const re = op.includes('~') ? new RegExp(`^(?:${value})$`) : undefined
    tests.push((log) => {
      const actual = log.stream[key] ?? log.meta[key] ?? ''
      return (re ? re.test(actual) : actual === value) === (op[0] === '=')
    })
  }
  for (const [, key, op, value] of query.slice(open, close).matchAll(/([a-z_0-9]+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"/g)) test(key, op, unescape(value))
  const tail = query.slice(close + 1)
  for (const [, op, value] of tail.matchAll(/(\|=|!=)\s*"((?:[^"\\]|\\.)*)"/g)) {
    const text = unescape(value)
    tests.push((log) => log.line.includes(text) === (op === '|='))
  }
  for (const [, key, op, value] of tail.matchAll(/\|\s*([a-z_0-9]+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"/g)) test(key, op, unescape(value))
  return (log) => tests.every((t) => t(log))
}

function lokiRange(params) {
  const query = params.get('query') ?? ''
  const start = Number((params.get('start') ?? '0').slice(0, -6))
  const end = Number((params.get('end') ?? '0').slice(0, -6))
  const keep = logFilter(query)
  const inRange = logs.filter((log) => { const ms = Number(log.ns.slice(0, -6)); return ms >= start && ms < end + 1 && keep(log) })
  if (/^\s*[a-z_]+.*\(/.test(query) && query.includes('[')) return countMatrix(inRange, start, end, Number(params.get('step') ?? 30))
  const limit = Number(params.get('limit') ?? 100)
  const rows = params.get('direction') === 'forward' ? inRange.reverse().slice(0, limit) : inRange.slice(0, limit)
  const streams = new Map()
  for (const log of rows) {
    const key = JSON.stringify(log.stream)
    if (!streams.has(key)) streams.set(key, { stream: log.stream, values: [] })
    streams.get(key).values.push([log.ns, log.line, log.meta])
  }
  return { status: 'success', data: { resultType: 'streams', result: [...streams.values()], stats: {} } }
}

function countMatrix(rows, start, end, step) {
  const series = new Map()
  for (const log of rows) {
    const at = Math.ceil(Number(log.ns.slice(0, -6)) / 1000 / step) * step
    if (at * 1000 < start || at * 1000 > end) continue
    const metric = { level: log.stream.level, service_name: log.stream.service_name }
    const key = JSON.stringify(metric)
    if (!series.has(key)) series.set(key, { metric, counts: new Map() })
    const counts = series.get(key).counts
    counts.set(at, (counts.get(at) ?? 0) + 1)
  }
  const result = [...series.values()].map(({ metric, counts }) => ({ metric, values: [...counts].sort((a, b) => a[0] - b[0]).map(([t, n]) => [t, String(n)]) }))
  return { status: 'success', data: { resultType: 'matrix', result, stats: {} } }
}

function services(params) {
  const [start, end] = [Number(params.get('start')), Number(params.get('end'))]
  const width = Math.max(end - start, 60)
  return { services: SERVICES.map(([service_name, environment, rate, error_ratio], i) => {
    const rnd = random(i + 31)
    return {
      service_name, environment, rate, error_ratio, requests: Math.round(rate * width), errors: Math.round(rate * width * error_ratio), p50_ms: 8 + rnd() * 60, p99_ms: 120 + rnd() * 1400,
      log_records: Math.round(rate * width * 2), log_errors: Math.round(rate * width * error_ratio * 1.2), new_errors: i === 0 ? 2 : i === 5 ? 1 : 0, firing_alerts: i === 0 || i === 7 ? 1 : 0,
      last_seen_unix_ms: Date.now() - Math.round(rnd() * 20_000), sparkline: Array.from({ length: 30 }, (_, b) => Math.round(rate * 20 * (0.7 + 0.25 * Math.sin(b / 5 + i) + rnd() * 0.2))),
    }
  }) }
}

function promSeries(query) {
  if (/nothing_here/.test(query)) return []
  if (/\(\s*$/.test(query) || /\{\s*$/.test(query)) throw Object.assign(new Error('1:6: parse error: unclosed left parenthesis'), { status: 400, type: 'bad_data' })
  if (/idle/.test(query)) return [[{}, 0.34, 0.12]]
  if (/memory/.test(query)) return [[{}, 0.61, 0.03]]
  if (/^up\b/.test(query)) return ['node-a1:9100', 'node-a2:9100', 'node-b1:9100'].map((instance) => [{ __name__: 'up', job: 'node', instance }, 1, 0])
  return SERVICES.filter(([, env]) => env === 'production').map(([service_name, , rate]) => [{ service_name, deployment_environment_name: 'production' }, rate, rate * 0.25])
}

function promRange(params) {
  const query = params.get('query') ?? ''
  const [start, end, step] = ['start', 'end', 'step'].map((k) => Number(params.get(k)))
  const result = promSeries(query).map(([metric, base, swing], i) => {
    const values = []
    for (let t = start; t <= end; t += step) {
      const noise = random(Math.floor(t / step) * 31 + i)()
      values.push([t, String(Math.max(0, base + swing * Math.sin(t / 700 + i) + swing * 0.5 * (noise - 0.5)))])
    }
    return { metric, values }
  })
  return { status: 'success', data: { resultType: 'matrix', result } }
}

function promInstant(params) {
  const result = promSeries(params.get('query') ?? '').map(([metric, base]) => ({ metric, value: [Number(params.get('time')), String(base)] }))
  return { status: 'success', data: { resultType: 'vector', result } }
}

const parseMs = (text) => (text ? Number.parseFloat(text) * (text.endsWith('ms') ? 1 : text.endsWith('s') ? 1000 : 1) : undefined)

function traceSearch(params) {
  const [service, name, status] = ['service', 'name', 'status'].map((k) => params.get(k))
  const [min, max] = [parseMs(params.get('minDuration')), parseMs(params.get('maxDuration'))]
  const [start, end] = [Number(params.get('start')) * 1000, Number(params.get('end')) * 1000]
  const found = traces.filter((t) => t.start >= start && t.start <= end && (!service || t.spans.some((s) => s.service === service)) && (!name || t.spans.some((s) => s.name.includes(name)))
    && (status !== 'error' || t.error) && (min === undefined || t.total >= min) && (max === undefined || t.total <= max))
  return { traces: found.slice(0, Number(params.get('limit') ?? 20)).map((t) => {
    const serviceStats = {}
    for (const span of t.spans) {
      const stats = (serviceStats[span.service] ??= { spanCount: 0 })
      stats.spanCount += 1
      if (span.failed) stats.errorCount = (stats.errorCount ?? 0) + 1
    }
    return { traceID: t.traceId, rootServiceName: t.root.service, rootTraceName: t.root.name, startTimeUnixNano: `${Math.floor(t.start)}000000`, durationMs: Math.round(t.total), serviceStats, spanSets: [] }
  }), metrics: {} }
}

const attribute = ([key, value]) => ({ key, value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value } })
const nano = (ms) => `${Math.floor(ms)}${String(Math.floor((ms % 1) * 1e6)).padStart(6, '0')}`

function traceById(id) {
  const trace = traces.find((t) => t.traceId === id)
  if (!trace) throw Object.assign(new Error('trace not found'), { status: 404 })
  const batches = new Map()
  for (const span of trace.spans) {
    if (!batches.has(span.service)) batches.set(span.service, { resource: { attributes: Object.entries({ 'service.name': span.service, 'service.version': '2026.11.3', 'deployment.environment.name': 'production', 'host.name': 'node-a1', 'k8s.pod.name': `${span.service}-7c9f8d-x2x4p` }).map(attribute) }, scopeSpans: [{ scope: { name: '@opentelemetry/instrumentation-http' }, spans: [] }] })
    batches.get(span.service).scopeSpans[0].spans.push({
      traceId: span.traceId, spanId: span.spanId, parentSpanId: span.parentSpanId, name: span.name, kind: span.kind, startTimeUnixNano: nano(trace.start + span.at), endTimeUnixNano: nano(trace.start + span.at + span.duration),
      attributes: Object.entries(span.attributes).map(attribute), events: span.events.map((e) => ({ name: e.name, timeUnixNano: nano(trace.start + e.at), attributes: Object.entries(e.attributes).map(attribute) })), status: span.failed ? { code: 2, message: 'upstream failed' } : {},
    })
  }
  return { batches: [...batches.values()] }
}

function errorList(params) {
  const [state, q, service, env] = ['state', 'q', 'service', 'environment'].map((k) => params.get(k))
  const sort = { first_seen: 'first_seen_unix_ms', count: 'count' }[params.get('sort')] ?? 'last_seen_unix_ms'
  const isTrace = /^[0-9a-f]{32}$/.test(q ?? '')
  const found = errors.filter((e) => (!state || e.state === state) && (!service || e.service_name === service) && (!env || e.environments.includes(env)) && (!q || (isTrace ? e.id === errors[0].id : e.title.toLowerCase().includes(q.toLowerCase()))))
  found.sort((a, b) => b[sort] - a[sort])
  const offset = Number(params.get('offset') ?? 0)
  return { groups: found.slice(offset, offset + Number(params.get('limit') ?? 50)), total: found.length }
}

function status() {
  const now = Date.now()
  return {
    version: '0.1.0', started_unix_ms: BORN - 3 * 86_400_000, uptime_seconds: 259_200, environment: 'production',
    tables: { logs: { rows_head: 12_400, rows_stored: 18_204_112, files: 212, bytes: 1_402_000_000 }, spans: { rows_head: 4100, rows_stored: 6_120_440, files: 96, bytes: 610_000_000 }, samples: { rows_head: 88_000, rows_stored: 912_440_120, files: 340, bytes: 1_960_000_000 }, series: { rows_head: 0, rows_stored: 48_212, files: 3, bytes: 2_400_000 } },
    journal: {}, agents: ['node-a1', 'node-a2', 'node-b1', 'node-b2'].map((host_name, i) => ({ agent_id: `agent-${i}`, host_name, version: '0.1.0', last_seen_unix_ms: now - (i === 3 ? 540_000 : 4000 * (i + 1)) })),
  }
}

const METRICS = ['up', 'http_server_request_duration_seconds_bucket', 'http_server_request_duration_seconds_count', 'http_server_request_duration_seconds_sum', 'system_cpu_utilization_ratio', 'system_memory_utilization_ratio', 'vervet_collector_received_total', 'vervet_collector_dropped_total']
const LABELS = ['__name__', 'service_name', 'deployment_environment_name', 'host_name', 'http_route', 'http_response_status_code', 'instance', 'job', 'le']
const ok = (data) => ({ status: 'success', data })

/** The answer for a GET, or undefined when there is no such route. Errors carry a status. */
export function answer(path, params, method) {
  const errorPath = /^\/api\/vervet\/v1\/errors\/([^/]+)(?:\/(resolve|reopen|ignore))?$/.exec(path)
  if (errorPath) {
    const group = errors.find((e) => e.id === errorPath[1])
    if (!group) throw Object.assign(new Error(`no error group ${errorPath[1]}`), { status: 404 })
    if (!errorPath[2]) return errorDetail(group, Date.now())
    if (method !== 'POST') throw Object.assign(new Error('use POST'), { status: 405 })
    group.state = { resolve: 'resolved', reopen: 'open', ignore: 'ignored' }[errorPath[2]]
    group.regressed = false
    return { group }
  }
  if (path.startsWith('/tempo/api/traces/')) return traceById(path.split('/')[4])
  const lokiLabel = /^\/loki\/api\/v1\/label\/([^/]+)\/values$/.exec(path)
  if (lokiLabel) return ok([...new Set(logs.map((l) => l.stream[lokiLabel[1]]).filter(Boolean))])
  const promLabel = /^\/api\/v1\/label\/([^/]+)\/values$/.exec(path)
  if (promLabel) return ok(promLabel[1] === '__name__' ? METRICS : promLabel[1] === 'service_name' ? [...new Set(SERVICES.map(([n]) => n))] : ['a', 'b'])
  switch (path) {
    case '/api/vervet/v1/status': return status()
    case '/api/vervet/v1/services': return services(params)
    case '/api/vervet/v1/errors': return errorList(params)
    case '/loki/api/v1/query_range': return lokiRange(params)
    case '/loki/api/v1/labels': return ok(Object.keys(logs[0].stream))
    case '/tempo/api/search': return traceSearch(params)
    case '/api/v1/query': return promInstant(params)
    case '/api/v1/query_range': return promRange(params)
    case '/api/v1/labels': return ok(LABELS)
    case '/api/v1/series': return ok(METRICS.map((m) => ({ __name__: m, service_name: 'checkout' })))
    case '/api/v1/metadata': return ok(Object.fromEntries(METRICS.map((m) => [m, [{ type: m.endsWith('ratio') ? 'gauge' : 'counter', help: `What ${m} counts.`, unit: '' }]])))
    case '/api/v1/rules': return ok(rules())
    case '/api/v1/alerts': return ok({ alerts: rules().groups.flatMap((g) => g.rules.flatMap((r) => r.alerts)) })
    case '/api/v1/status/flags': return ok({})
    default: return undefined
  }
}

/** The same routes before anything was ever sent. */
export function emptyAnswer(path) {
  if (path === '/api/vervet/v1/status') return { ...status(), tables: Object.fromEntries(['logs', 'spans', 'samples', 'series'].map((t) => [t, { rows_head: 0, rows_stored: 0, files: 0, bytes: 0 }])), agents: [] }
  if (path === '/api/vervet/v1/services') return { services: [] }
  if (path === '/api/vervet/v1/errors') return { groups: [], total: 0 }
  if (path === '/tempo/api/search') return { traces: [] }
  if (path === '/api/v1/rules') return ok({ groups: [] })
  if (path === '/loki/api/v1/query_range') return ok({ resultType: 'streams', result: [] })
  if (path === '/api/v1/query_range') return ok({ resultType: 'matrix', result: [] })
  if (path === '/api/v1/query') return ok({ resultType: 'vector', result: [] })
  return path.startsWith('/tempo/') || path.startsWith('/api/vervet/') ? undefined : ok([])
}
