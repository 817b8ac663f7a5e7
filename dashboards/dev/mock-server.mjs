// Serves dist and a make-believe collector on one port. For development, screenshots and the browser tests only.
//   node dev/mock-server.mjs [--port 7420] [--mode full|empty|error|slow]
import { randomBytes } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { answer, emptyAnswer } from './mock/api.mjs'

const DIST = fileURLToPath(new URL('../dist', import.meta.url))
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.woff2': 'font/woff2', '.json': 'application/json' }
const ENCODINGS = [['br', '.br'], ['gzip', '.gz']]

const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? fallback : process.argv[at + 1]
}
const port = Number(option('port', 7420))
const mode = option('mode', 'full')

const policy = (nonce) => [
  "default-src 'none'", "script-src 'self'", `style-src 'self' 'nonce-${nonce}'`, "img-src 'self' data:", "font-src 'self'", "connect-src 'self'",
  "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
].join('; ')

function sendJson(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}

function failureBody(path, status, message, type) {
  if (path.startsWith('/api/v1/')) return { status: 'error', errorType: type ?? 'internal', error: message }
  return { error: { code: status === 404 ? 'not_found' : 'internal', message } }
}

function serveApi(request, response, url) {
  const path = url.pathname
  if (mode === 'error') return sendJson(response, 503, failureBody(path, 503, 'the store is recovering its journal: 3 of 12 segments read, try again in a moment', 'unavailable'))
  try {
    const body = mode === 'empty' ? emptyAnswer(path) : answer(path, url.searchParams, request.method)
    if (body === undefined) return sendJson(response, 404, failureBody(path, 404, `no route ${path}`))
    if (mode === 'slow') return void setTimeout(() => sendJson(response, 200, body), 60_000)
    sendJson(response, 200, body)
  } catch (error) {
    sendJson(response, error.status ?? 500, failureBody(path, error.status ?? 500, error.message, error.type))
  }
}

async function serveIndex(response) {
  const nonce = randomBytes(16).toString('base64')
  const html = (await readFile(join(DIST, 'index.html'), 'utf8')).replaceAll('__CSP_NONCE__', nonce)
  response.writeHead(200, { 'content-type': TYPES['.html'], 'cache-control': 'no-cache', 'content-security-policy': policy(nonce), 'x-content-type-options': 'nosniff', 'referrer-policy': 'same-origin' })
  response.end(html)
}

async function serveFile(request, response, path) {
  const file = join(DIST, normalize(path))
  if (!file.startsWith(DIST) || path === '/' || !(await stat(file).then((s) => s.isFile(), () => false))) {
    if (!path.startsWith('/assets/')) return serveIndex(response)
    response.writeHead(404)
    return response.end()
  }
  const headers = { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'cache-control': path.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache', vary: 'accept-encoding' }
  const accepted = String(request.headers['accept-encoding'] ?? '')
  for (const [encoding, suffix] of ENCODINGS) {
    if (!accepted.includes(encoding)) continue
    const bytes = await readFile(file + suffix).catch(() => undefined)
    if (!bytes) continue
    response.writeHead(200, { ...headers, 'content-encoding': encoding })
    return response.end(bytes)
  }
  response.writeHead(200, headers)
  response.end(await readFile(file))
}

createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost')
  if (/^\/(api|loki|tempo)\//.test(url.pathname)) serveApi(request, response, url)
  else serveFile(request, response, url.pathname).catch((error) => { response.writeHead(500); response.end(String(error)) })
}).listen(port, '127.0.0.1', () => process.stdout.write(`mock collector (${mode}) on http://127.0.0.1:${port}\n`))
