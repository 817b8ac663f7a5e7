// Drives a real browser against a running collector that already holds data.
//
//   BASE_URL              where the collector answers, such as http://127.0.0.1:7420
//   VERVET_SEED_SERVICE   a service with logs, spans and one error group with a trace in the last hour (default: checkout)
//   VERVET_SHOTS          folder for screenshots (default: none are written)
//   VERVET_CHROMIUM       the browser (default: /usr/bin/chromium)
//
// One line per check; the last line is "N passed, N failed"; exit code 1 when anything failed.
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { auditPage } from './axe.mjs'
import { Checks } from './checks.mjs'

const BASE = (process.env.BASE_URL ?? '').replace(/\/$/, '')
const SERVICE = process.env.VERVET_SEED_SERVICE ?? 'checkout'
const SHOTS = process.env.VERVET_SHOTS
const CONTENT_MS = 15_000

if (!BASE) {
  process.stderr.write('BASE_URL is not set\n')
  process.exit(2)
}

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
]

/** What each page must show once its data is there. */
const PAGES = [
  { name: 'overview', path: '/', heading: 'Overview', content: (page) => page.getByRole('link', { name: SERVICE, exact: true }).first() },
  { name: 'logs', path: `/logs?service=${SERVICE}`, heading: 'Logs', content: (page) => page.locator('[data-index="0"]') },
  { name: 'metrics', path: '/metrics?expr=up', heading: 'Metrics', content: (page) => page.getByLabel('PromQL expression') },
  { name: 'traces', path: `/traces?service=${SERVICE}`, heading: 'Traces', content: (page) => page.locator('tbody a[href^="/traces/"]').first() },
  { name: 'errors', path: `/errors?service=${SERVICE}`, heading: 'Errors', content: (page) => page.locator('tbody a[href^="/errors/"]').first() },
  { name: 'alerts', path: '/alerts', heading: 'Alerts', content: (page) => page.locator('article, p').first() },
]

const checks = new Checks()

/** Everything a page may complain about while it is open. */
async function watch(page) {
  const complaints = []
  page.on('console', (message) => ['error', 'warning'].includes(message.type()) && complaints.push(`console ${message.type()}: ${message.text()}`))
  page.on('pageerror', (error) => complaints.push(`exception: ${error.message}`))
  await page.exposeFunction('vervetReportViolation', (text) => complaints.push(`policy: ${text}`))
  await page.addInitScript(() => document.addEventListener('securitypolicyviolation', (event) => window.vervetReportViolation(`${event.violatedDirective} ${event.blockedURI}`)))
  return () => complaints.splice(0)
}

async function withBrowser(options, use) {
  const profile = await mkdtemp(join(tmpdir(), 'vervet-browser-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.VERVET_CHROMIUM ?? '/usr/bin/chromium', headless: true, args: FLAGS, timezoneId: 'Europe/Berlin', ...options,
  })
  try {
    const page = await context.newPage()
    await use(page, await watch(page))
  } finally {
    await context.close()
    await rm(profile, { recursive: true, force: true })
  }
}

async function shot(page, name) {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`) })
}

async function checkPage(page, complaints, spec, label) {
  await checks.run(`${label}: shows its data`, async () => {
    await page.goto(BASE + spec.path)
    await spec.content(page).waitFor({ timeout: CONTENT_MS })
  })
  await checks.run(`${label}: has the one heading "${spec.heading}"`, async () => {
    const headings = await page.locator('h1').allTextContents()
    if (headings.length !== 1 || headings[0] !== spec.heading) throw new Error(`found ${JSON.stringify(headings)}`)
  })
  await checks.run(`${label}: fits its width`, async () => {
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
    if (over > 0) throw new Error(`${over} px too wide`)
  })
  await page.waitForTimeout(400)
  await checks.run(`${label}: nothing serious from axe`, () => auditPage(page))
  await shot(page, label.replaceAll(' ', '-'))
  await checks.run(`${label}: no complaint in the console, no policy violation`, () => {
    const found = complaints()
    if (found.length > 0) throw new Error(found.join(' | '))
  })
}

/** An error, one press to its trace, one press from there to its logs. */
async function checkClickPath(page, complaints) {
  await checks.run('path: error list to error', async () => {
    await page.goto(`${BASE}/errors?service=${SERVICE}`)
    await page.locator('tbody a[href^="/errors/"]').first().click({ timeout: CONTENT_MS })
    await page.waitForURL(/\/errors\/[^?]+/)
    await page.getByRole('region', { name: 'Event', exact: true }).waitFor({ timeout: CONTENT_MS })
  })
  await checks.run('path: error detail passes axe', () => auditPage(page))
  await shot(page, 'path-1-error')
  await checks.run('path: error to its trace', async () => {
    await page.getByRole('link', { name: 'Open trace' }).first().click({ timeout: CONTENT_MS })
    await page.waitForURL(/\/traces\/[0-9a-f]{32}/)
    await page.getByRole('option').first().waitFor({ timeout: CONTENT_MS })
  })
  await checks.run('path: a span opens beside the waterfall', async () => {
    await page.getByRole('option').first().click()
    await page.getByRole('link', { name: 'Logs of this span' }).waitFor({ timeout: CONTENT_MS })
    if (!new URL(page.url()).searchParams.get('span')) throw new Error('the span is not in the address')
  })
  await checks.run('path: trace passes axe', () => auditPage(page))
  await shot(page, 'path-2-trace')
  await checks.run('path: trace to its logs', async () => {
    const traceId = /\/traces\/([0-9a-f]{32})/.exec(page.url())?.[1]
    await page.getByRole('link', { name: 'Logs of this trace' }).click()
    await page.waitForURL(/\/logs\?/)
    await page.locator('[data-index="0"]').first().click({ timeout: CONTENT_MS })
    await page.getByRole('complementary', { name: 'Log line' }).getByText(traceId).first().waitFor({ timeout: CONTENT_MS })
  })
  await checks.run('path: log line passes axe', () => auditPage(page))
  await shot(page, 'path-3-logs')
  await checks.run('path: log line back to its trace', async () => {
    await page.getByRole('link', { name: 'Open trace' }).click()
    await page.waitForURL(/\/traces\/[0-9a-f]{32}/)
  })
  await checks.run('path: no complaint on the way', () => {
    const found = complaints()
    if (found.length > 0) throw new Error(found.join(' | '))
  })
}

async function checkAddress(page) {
  await checks.run('address: a link restores range, environment, query and facet', async () => {
    const link = `${BASE}/logs?from=now-3h&refresh=1m&q=${encodeURIComponent('| level!="trace"')}&service=${SERVICE}`
    await page.goto(link)
    await page.getByLabel('Log query').waitFor({ timeout: CONTENT_MS })
    if ((await page.getByLabel('Log query').inputValue()) !== '| level!="trace"') throw new Error('the query is not in its box')
    await page.getByRole('button', { name: 'Time range: Last 3 hours' }).waitFor({ timeout: CONTENT_MS })
    await page.getByRole('button', { name: 'Refresh automatically: 1m' }).waitFor()
    await page.locator(`button[aria-pressed="true"]:has-text("${SERVICE}")`).waitFor({ timeout: CONTENT_MS })
    const sorted = (address) => JSON.stringify([...new URL(address).searchParams].sort())
    if (sorted(page.url()) !== sorted(link)) throw new Error(`became ${page.url()}`)
  })
  await checks.run('address: what is pressed goes into it, and Back takes it out', async () => {
    await page.goto(`${BASE}/logs`)
    await page.getByRole('group', { name: 'Service' }).getByRole('button', { name: SERVICE }).first().click({ timeout: CONTENT_MS })
    await page.waitForURL(new RegExp(`service=${SERVICE}`))
    await page.goBack()
    await page.waitForURL((url) => !url.searchParams.has('service'))
  })
  await checks.run('address: unknown pages say so', async () => {
    await page.goto(`${BASE}/no/such/page`)
    await page.getByRole('heading', { level: 1, name: 'Not found' }).waitFor({ timeout: CONTENT_MS })
  })
}

async function checkKeys(page) {
  await checks.run('keys: g l goes to the logs, / into the query, ? opens the list', async () => {
    await page.goto(`${BASE}/`)
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('l')
    await page.waitForURL(/\/logs/)
    await page.getByLabel('Log query').waitFor()
    await page.keyboard.press('/')
    if (!(await page.getByLabel('Log query').evaluate((box) => box === document.activeElement))) throw new Error('the query box has no focus')
    await page.keyboard.press('Escape')
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
    await auditPage(page)
    await page.keyboard.press('Escape')
  })
  await checks.run('keys: t opens the time range, and a choice applies', async () => {
    await page.keyboard.press('t')
    await page.getByRole('button', { name: 'Last 6 hours' }).click()
    await page.waitForURL(/from=now-6h/)
  })
}

/** The query editor completes from the server's names, and typing over what is there breaks no policy. */
async function checkEditor(page, complaints) {
  await checks.run('editor: completes, runs, and is typed over without a complaint', async () => {
    complaints()
    await page.goto(`${BASE}/metrics`)
    const editor = page.getByLabel('PromQL expression')
    await editor.click({ timeout: CONTENT_MS })
    await page.keyboard.type('sum by (job) (up)', { delay: 15 })
    await page.keyboard.press('Escape')
    await editor.click()
    await page.keyboard.press('Control+a')
    await page.keyboard.type('sum(rat', { delay: 15 })
    await page.getByRole('listbox').getByText('rate', { exact: true }).first().waitFor({ timeout: CONTENT_MS })
    await page.keyboard.press('Escape')
    await editor.click()
    await page.keyboard.press('Control+a')
    await page.keyboard.type('vector(1)', { delay: 15 })
    await page.keyboard.press('Control+Enter')
    await page.waitForURL((url) => url.searchParams.get('expr') === 'vector(1)')
    await page.getByRole('region', { name: 'Result' }).waitFor({ timeout: CONTENT_MS })
    await auditPage(page)
    const found = complaints()
    if (found.length > 0) throw new Error(found.join(' | '))
  })
}

/** A failing server is told in its own words, and Retry asks again. */
async function checkFailure(page) {
  await checks.run('failure: the message of the server and a Retry that works', async () => {
    const words = 'the store is recovering its journal'
    let failing = true
    await page.route('**/loki/api/v1/query_range*', (route) => (failing
      ? route.fulfill({ status: 400, contentType: 'application/json', body: JSON.stringify({ error: { code: 'unavailable', message: words } }) })
      : route.continue()))
    await page.goto(`${BASE}/logs?service=${SERVICE}`)
    await page.getByRole('alert').getByText(words).waitFor({ timeout: CONTENT_MS })
    await auditPage(page)
    await shot(page, 'failure')
    failing = false
    await page.getByRole('button', { name: 'Retry' }).click()
    await page.locator('[data-index="0"]').waitFor({ timeout: CONTENT_MS })
    await page.unroute('**/loki/api/v1/query_range*')
  })
}

/** The document itself: policy, nonce, caching, no inline script. */
async function checkDocument() {
  await checks.run('document: strict policy with a fresh nonce', async () => {
    const [first, second] = await Promise.all([fetch(`${BASE}/logs`), fetch(`${BASE}/logs`)])
    const policy = first.headers.get('content-security-policy') ?? ''
    const nonce = /'nonce-([^']+)'/.exec(policy)?.[1]
    if (!policy.includes("default-src 'none'") || !policy.includes("script-src 'self'") || /unsafe-(inline|eval)/.test(policy)) throw new Error(policy || 'none')
    if (!nonce || policy === second.headers.get('content-security-policy')) throw new Error('the nonce is not fresh')
    const html = await first.text()
    if (!html.includes(nonce) || html.includes('__CSP_NONCE__')) throw new Error('the nonce is not in the document')
    if (/no-cache|no-store/.test(first.headers.get('cache-control') ?? '') === false) throw new Error('the document may be cached')
  })
  await checks.run('document: assets are immutable and compressed', async () => {
    const html = await (await fetch(`${BASE}/`)).text()
    const script = /src="(\/assets\/[^"]+\.js)"/.exec(html)?.[1]
    const response = await fetch(BASE + script, { headers: { 'accept-encoding': 'br' } })
    if (!/immutable/.test(response.headers.get('cache-control') ?? '')) throw new Error(`cache-control: ${response.headers.get('cache-control')}`)
    if (response.headers.get('content-encoding') !== 'br') throw new Error(`content-encoding: ${response.headers.get('content-encoding')}`)
    if ((await fetch(`${BASE}/assets/missing.js`)).status !== 404) throw new Error('a missing asset is not 404')
  })
}

if (SHOTS) await mkdir(SHOTS, { recursive: true })
await checkDocument()
for (const [width, height] of [[1440, 900], [390, 844]]) {
  for (const colorScheme of ['light', 'dark']) {
    await withBrowser({ viewport: { width, height }, colorScheme }, async (page, complaints) => {
      for (const spec of PAGES) await checkPage(page, complaints, spec, `${spec.name} ${colorScheme} ${width}`)
    })
  }
}
await withBrowser({ viewport: { width: 1440, height: 900 }, colorScheme: 'light' }, async (page, complaints) => {
  await checkClickPath(page, complaints)
  await checkAddress(page)
  await checkKeys(page)
  await checkEditor(page, complaints)
  await checkFailure(page)
})
process.exitCode = checks.finish()
