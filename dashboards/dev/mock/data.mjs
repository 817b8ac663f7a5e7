// Seeded data for development and screenshots: the same everywhere except for the present moment.

export function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const hex = (rnd, n) => Array.from({ length: n }, () => Math.floor(rnd() * 16).toString(16)).join('')
const pick = (rnd, list) => list[Math.floor(rnd() * list.length)]

export const SERVICES = [
  ['checkout', 'production', 42, 0.031], ['storefront', 'production', 310, 0.0021], ['payments', 'production', 18, 0.0009],
  ['inventory', 'production', 64, 0], ['auth', 'production', 120, 0.0004], ['search', 'production', 88, 0.012],
  ['mailer', 'production', 2.4, 0.0], ['checkout', 'staging', 1.2, 0.08], ['storefront', 'staging', 3.1, 0], ['payments', 'development', 0.2, 0.0],
]
const HOSTS = ['node-a1', 'node-a2', 'node-b1', 'node-b2']
const ROUTES = { checkout: ['POST /api/checkout', 'GET /api/cart'], storefront: ['GET /', 'GET /product/[slug]', 'GET /category/[id]'], payments: ['POST /charge', 'POST /refund'], inventory: ['GET /stock/{sku}'], auth: ['POST /token', 'GET /session'], search: ['GET /search'], mailer: ['consume orders.mail'] }

const LINES = {
  info: [(r) => `GET /product/sku-${Math.floor(r() * 9000)} 200 in ${Math.floor(r() * 90) + 4}ms`, (r) => `cart updated items=${Math.floor(r() * 6) + 1} total=${(r() * 300).toFixed(2)}`, (r) => `session refreshed user=u_${Math.floor(r() * 1e6).toString(36)}`, () => 'flag new-checkout evaluated to true for cohort b', (r) => JSON.stringify({ msg: 'order placed', order: `ord_${Math.floor(r() * 1e9).toString(36)}`, items: 3, amount: 129.9, currency: 'EUR' })],
  debug: [(r) => `pool acquired connection ${Math.floor(r() * 20)} after ${Math.floor(r() * 12)}ms`, (r) => `cache ${r() > 0.4 ? 'hit' : 'miss'} key=product:${Math.floor(r() * 9000)}`],
  warn: [(r) => `slow query took ${Math.floor(r() * 1800) + 400}ms: select * from orders where customer_id = $1`, () => 'retrying upstream payments after timeout, attempt 2 of 3'],
  error: [() => 'TypeError: Cannot read properties of undefined (reading \'total\')\n    at computeTotal (/app/src/cart/total.ts:42:19)\n    at POST (/app/src/app/api/checkout/route.ts:18:11)', () => 'upstream payments answered 502 after timeout of 3000ms', () => 'relation "order_items" lock timeout exceeded'],
  fatal: [() => 'out of memory: heap limit of 512 MiB reached, shutting down'],
}

export function makeLogs(endMs, spanMs = 6 * 3_600_000, count = 24_000) {
  const rnd = random(7)
  const logs = []
  for (let i = 0; i < count; i += 1) {
    const timeMs = Math.floor(endMs - (i / count) * spanMs - rnd() * 400)
    const [service, env] = pick(rnd, SERVICES)
    const storm = Math.abs(timeMs - (endMs - 21 * 60_000)) < 150_000
    const roll = rnd() * (storm && service === 'checkout' ? 0.12 : 1)
    const level = roll < 0.0006 ? 'fatal' : roll < 0.03 ? 'error' : roll < 0.08 ? 'warn' : roll < 0.8 ? 'info' : 'debug'
    const traced = rnd() < 0.6
    logs.push({
      ns: `${timeMs}${String(Math.floor(rnd() * 1e6)).padStart(6, '0')}`,
      line: pick(rnd, LINES[level])(rnd),
      stream: { service_name: service, deployment_environment_name: env, host_name: pick(rnd, HOSTS), k8s_namespace_name: 'shop', k8s_pod_name: `${service}-7c9f8d-${hex(rnd, 5)}`.slice(0, 24), k8s_container_name: service, level },
      meta: { ...(traced ? { trace_id: TRACE_IDS[Math.floor(rnd() * TRACE_IDS.length)], span_id: hex(rnd, 16) } : {}), service_version: rnd() > 0.3 ? '2026.11.3' : '2026.11.2', log_iostream: level === 'error' ? 'stderr' : 'stdout', http_request_method: 'GET', severity_number: String({ debug: 5, info: 9, warn: 13, error: 17, fatal: 21 }[level]) },
    })
  }
  return logs
}

const idRnd = random(99)
export const TRACE_IDS = Array.from({ length: 60 }, () => hex(idRnd, 32))

export function makeTrace(index, endMs) {
  const rnd = random(1000 + index)
  const traceId = TRACE_IDS[index]
  const error = index % 6 === 0
  const start = endMs - index * 55_000 - 4000
  const spans = []
  const add = (service, name, parent, at, duration, kind, extra = {}) => {
    const span = { service, traceId, spanId: hex(rnd, 16), parentSpanId: parent?.spanId ?? '', name, at, duration, kind, attributes: {}, events: [], failed: false, ...extra }
    spans.push(span)
    return span
  }
  const total = error ? 1240 + rnd() * 900 : 60 + rnd() * 500
  const root = add('storefront', pick(rnd, ROUTES.storefront.concat('POST /checkout')), undefined, 0, total, 2, { attributes: { 'http.request.method': 'POST', 'http.route': '/checkout', 'http.response.status_code': error ? 500 : 200, 'user_agent.original': 'Mozilla/5.0', 'url.path': '/checkout' }, failed: error })
  const auth = add('auth', 'GET /session', root, total * 0.02, total * 0.1, 3)
  add('auth', 'redis GET session', auth, total * 0.03, total * 0.03, 3, { attributes: { 'db.system.name': 'redis' } })
  const checkout = add('checkout', 'POST /api/checkout', root, total * 0.14, total * 0.83, 2, { failed: error })
  for (let i = 0; i < 6; i += 1) {
    const stock = add('inventory', 'GET /stock/{sku}', checkout, total * (0.16 + i * 0.025), total * (0.05 + rnd() * 0.04), 3)
    add('inventory', 'SELECT stock', stock, stock.at + 1, stock.duration * 0.7, 3, { attributes: { 'db.system.name': 'postgresql', 'db.query.text': 'select quantity from stock where sku = $1' } })
  }
  const pay = add('payments', 'POST /charge', checkout, total * 0.42, total * 0.45, 3, { failed: error })
  add('payments', 'POST api.bank.example/v1/charges', pay, total * 0.44, total * 0.38, 3, { failed: error, attributes: { 'server.address': 'api.bank.example', 'http.response.status_code': error ? 502 : 200 } })
  add('checkout', 'compute total', checkout, total * 0.88, total * 0.05, 1, error ? {
    failed: true,
    events: [{ name: 'exception', at: total * 0.91, attributes: { 'exception.type': 'TypeError', 'exception.message': "Cannot read properties of undefined (reading 'total')", 'exception.stacktrace': STACK } }],
  } : {})
  add('mailer', 'publish orders.mail', checkout, total * 0.94, total * 0.02, 4)
  return { traceId, start, total, error, spans, root }
}

export const STACK = `TypeError: Cannot read properties of undefined (reading 'total')
    at computeTotal (/app/src/cart/total.ts:42:19)
    at reduceCart (/app/src/cart/reduce.ts:17:9)
    at POST (/app/src/app/api/checkout/route.ts:18:11)
    at AppRouteRouteModule.do (/app/node_modules/next/dist/server/app-route.js:1:18311)
    at processTicksAndRejections (node:internal/process/task_queues:95:5)`

const FRAMES = [
  { function: 'computeTotal', file: '/app/src/cart/total.ts', line: 42, column: 19, in_app: true },
  { function: 'reduceCart', file: '/app/src/cart/reduce.ts', line: 17, column: 9, in_app: true },
  { function: 'Array.map', file: '<anonymous>', in_app: false },
  { function: 'AppRouteRouteModule.do', file: '/app/node_modules/next/dist/server/app-route.js', line: 1, column: 18311, in_app: false },
  { function: 'AppRouteRouteModule.handle', file: '/app/node_modules/next/dist/server/app-route.js', line: 1, column: 20011, in_app: false },
  { function: 'POST', file: '/app/src/app/api/checkout/route.ts', line: 18, column: 11, in_app: true },
  { function: 'processTicksAndRejections', file: 'node:internal/process/task_queues', line: 95, column: 5, in_app: false },
]

const ERRORS = [
  ["TypeError: Cannot read properties of undefined (reading 'total')", 'computeTotal(src/cart/total.ts)', 'TypeError', 'checkout', 1842, true, 'open', 0.2],
  ['PaymentDeclinedError: upstream answered 502', 'charge(src/charge.ts)', 'PaymentDeclinedError', 'payments', 311, false, 'open', 3],
  ['DatabaseError: canceling statement due to lock timeout', 'insertOrder(src/db/orders.ts)', 'DatabaseError', 'checkout', 96, false, 'open', 30],
  ['TimeoutError: search took longer than 2000 ms', 'query(src/index.ts)', 'TimeoutError', 'search', 4210, false, 'open', 90],
  ['AbortError: The operation was aborted', 'fetchProduct(src/lib/api.ts)', 'AbortError', 'storefront', 57, false, 'open', 400],
  ['ChunkLoadError: Loading chunk 482 failed', 'loadRoute(src/router.ts)', 'ChunkLoadError', 'storefront', 23, false, 'open', 12],
  ['JsonWebTokenError: jwt malformed', 'verify(src/token.ts)', 'JsonWebTokenError', 'auth', 8, false, 'resolved', 800],
  ['RangeError: Invalid time value', 'formatDate(src/format.ts)', 'RangeError', 'mailer', 3, false, 'ignored', 1200],
]

export function makeErrors(nowMs) {
  const rnd = random(5)
  return ERRORS.map(([title, culprit, type, service, count, regressed, state, ageHours], i) => ({
    id: `e${(i + 1).toString(16).padStart(15, '0')}`, title, culprit, exception_type: type, message: title.slice(title.indexOf(': ') + 2), level: 'error', service_name: service,
    state, regressed, count, first_seen_unix_ms: nowMs - ageHours * 3_600_000, last_seen_unix_ms: nowMs - (i * 7 + 1) * 41_000,
    first_version: i < 2 ? '2026.11.3' : '2026.10.7', last_version: '2026.11.3', environments: i % 3 === 0 ? ['production', 'staging'] : ['production'],
    sparkline: Array.from({ length: 24 }, (_, b) => (b < (regressed ? 14 : 0) ? 0 : Math.floor(rnd() ** 2 * count / 16))),
  }))
}

export function errorDetail(group, nowMs) {
  const events = Array.from({ length: Math.min(group.count, 12) }, (_, i) => ({
    id: `${group.id}-${i}`, time_unix_ms: group.last_seen_unix_ms - i * 63_000, source: i % 3 === 0 ? 'span' : i % 3 === 1 ? 'log' : 'sentry', service_version: i < 8 ? '2026.11.3' : '2026.11.2', environment: 'production', host_name: HOSTS[i % 4],
    trace_id: TRACE_IDS[(i * 6) % 60], span_id: '', message: group.message, exception_type: group.exception_type, frames: FRAMES, stacktrace: STACK,
    attributes: { 'http.route': '/api/checkout', 'http.request.method': 'POST', 'user.id': 'u_1k2j3', 'feature_flag.new-checkout': 'true', 'runtime.name': 'node', 'runtime.version': '22.11.0' },
  }))
  return {
    group, grouping: { version: 'v1', explanation: [`exception type is ${group.exception_type}`, 'application frames: computeTotal, reduceCart, POST', 'line numbers, paths before src/ and build hashes left out'] },
    counts_by_version: [{ key: '2026.11.3', count: Math.floor(group.count * 0.8) }, { key: '2026.11.2', count: Math.floor(group.count * 0.2) }],
    counts_by_environment: group.environments.map((key, i) => ({ key, count: Math.floor(group.count / (i + 1)) })), events, now: nowMs,
  }
}

const rule = (name, query, severity, summary, state, alerts = [], duration = 300) => ({
  type: 'alerting', name, query, duration, labels: { severity }, annotations: { summary }, health: 'ok', evaluationTime: 0.002, lastEvaluation: new Date(Date.now() - 9000).toISOString(), state, keepFiringFor: 0,
  alerts: alerts.map(([labels, minutes, value, s]) => ({ labels: { alertname: name, severity, ...labels }, annotations: { summary, description: `${labels.service_name ?? labels.host_name} has been over its limit since ${minutes} minutes.`, runbook_url: 'https://runbooks.example.com/' + name }, state: s ?? state, activeAt: new Date(Date.now() - minutes * 60_000).toISOString(), value: String(value) })),
})

export const rules = () => ({ groups: [
  { name: 'services', file: 'alert-rules/services.yaml', interval: 15, rules: [
    rule('ServiceErrorRatioHigh', 'sum by (service_name) (rate(http_server_request_duration_seconds_count{http_response_status_code=~"5.."}[5m])) / sum by (service_name) (rate(http_server_request_duration_seconds_count[5m])) > 0.02', 'critical', 'More than 2 % of the requests fail', 'firing', [[{ service_name: 'checkout', deployment_environment_name: 'production' }, 19, 0.031], [{ service_name: 'checkout', deployment_environment_name: 'staging' }, 41, 0.08]]),
    rule('ServiceSlow', 'histogram_quantile(0.99, sum by (le, service_name) (rate(http_server_request_duration_seconds_bucket[5m]))) > 1', 'warning', 'The slowest percent of requests takes over a second', 'pending', [[{ service_name: 'search', deployment_environment_name: 'production' }, 3, 1.24]]),
    rule('ServiceSilent', 'absent_over_time(http_server_request_duration_seconds_count[10m])', 'warning', 'A service stopped reporting', 'inactive'),
  ] },
  { name: 'hosts', file: 'alert-rules/hosts.yaml', interval: 30, rules: [
    rule('HostDiskWillFill', 'predict_linear(system_filesystem_usage_bytes{system_filesystem_state="free"}[6h], 86400) < 0', 'warning', 'The disk will be full within a day', 'firing', [[{ host_name: 'node-b2', system_device: '/dev/sda1' }, 132, -4.1e9]], 1800),
    rule('HostMemoryLow', 'system_memory_utilization_ratio{system_memory_state="used"} > 0.95', 'critical', 'A host has under 5 % of memory left', 'inactive'),
  ] },
  { name: 'vervet', file: 'alert-rules/vervet.yaml', interval: 30, rules: [
    rule('AgentSilent', 'time() - vervet_collector_agent_last_seen_timestamp_seconds > 120', 'critical', 'An agent has not reported for two minutes', 'inactive'),
    rule('DataDropped', 'sum by (reason) (rate(vervet_collector_dropped_total[5m])) > 0', 'critical', 'Telemetry is being dropped', 'inactive'),
  ] },
] })
