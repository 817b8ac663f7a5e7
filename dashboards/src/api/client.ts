// One way to call the collector: same origin, JSON, the server's own message in every failure, a deadline.

const DEADLINE_MS = 60_000

export class ApiError extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, message: string) {
    super(message)
    this.name = 'ApiError'
    this.status = status
    this.code = code
  }
}

export type Params = Record<string, string | number | string[] | undefined>

export function withParams(path: string, params: Params): string {
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(params)) {
    if (Array.isArray(value)) for (const item of value) search.append(key, item)
    else if (value !== undefined && value !== '') search.set(key, String(value))
  }
  const text = search.toString()
  return text === '' ? path : `${path}?${text}`
}

export async function getJson<T>(path: string, params: Params = {}, signal?: AbortSignal, headers: Record<string, string> = {}): Promise<T> {
  return request<T>(withParams(path, params), { headers: { accept: 'application/json', ...headers } }, signal)
}

export async function postJson<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const headers = { accept: 'application/json', 'content-type': 'application/json' }
  return request<T>(path, { method: 'POST', headers, body: JSON.stringify(body) }, signal)
}

async function request<T>(url: string, init: RequestInit, signal?: AbortSignal): Promise<T> {
  const deadline = AbortSignal.timeout(DEADLINE_MS)
  let response: Response
  let text: string
  try {
    response = await fetch(url, { ...init, signal: signal ? AbortSignal.any([signal, deadline]) : deadline })
    text = await response.text()
  } catch (cause) {
    if (signal?.aborted) throw cause
    if (deadline.aborted) throw new ApiError(0, 'deadline', `No answer within ${DEADLINE_MS / 1000} s. Try a shorter time range.`)
    throw new ApiError(0, 'unreachable', 'The collector cannot be reached. Is it running, and is the network up?')
  }
  const body = parseBody(text)
  if (!response.ok) throw failure(response, body, text)
  if (body === undefined) throw new ApiError(response.status, 'not_json', 'The collector answered with something that is not JSON.')
  return body as T
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Understands our own errors, those of the Prometheus API, and the plain text of the Loki and Tempo APIs. */
function failure(response: Response, body: unknown, text: string): ApiError {
  if (body && typeof body === 'object') {
    const own = (body as { error?: unknown }).error
    if (own && typeof own === 'object') {
      const { code, message } = own as { code?: string; message?: string }
      return new ApiError(response.status, code ?? String(response.status), message ?? response.statusText)
    }
    const prometheus = body as { errorType?: string; error?: string; message?: string }
    const message = prometheus.error ?? prometheus.message
    if (message) return new ApiError(response.status, prometheus.errorType ?? String(response.status), message)
  }
  const plain = text.trim().slice(0, 500)
  const readable = plain !== '' && !plain.startsWith('<')
  return new ApiError(response.status, String(response.status), readable ? plain : `${response.status} ${response.statusText}`.trim())
}
