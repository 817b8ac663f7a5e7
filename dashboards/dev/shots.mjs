// Screenshots of every page, in both themes and two widths. Usage: node dev/shots.mjs BASE_URL OUT_DIR [name filter]
// Chromium at /usr/bin/chromium, playwright-core from tests/browser.
import { mkdir, mkdtemp } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const { chromium } = createRequire(new URL('../../tests/browser/package.json', import.meta.url))('playwright-core')
const [base, out, filter = ''] = process.argv.slice(2)
await mkdir(out, { recursive: true })

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
const traces = await fetch(`${base}/tempo/api/search?start=0&end=99999999999&limit=60`).then((r) => r.json()).catch(() => ({}))
const trace = (traces.traces ?? []).find((t) => Object.values(t.serviceStats ?? {}).some((s) => s.errorCount))?.traceID ?? '0'.repeat(32)
const PAGES = {
  overview: '/', 'overview-prod': '/?env=production', logs: '/logs', 'logs-query': '/logs?q=timeout&level=error,warn', metrics: '/metrics', 'metrics-graph': '/metrics?expr=sum by (service_name) (rate(http_server_request_duration_seconds_count[5m]))',
  'metrics-table': '/metrics?expr=up&tab=table', traces: '/traces', trace: `/traces/${trace}`, errors: '/errors', error: '/errors/e000000000000001', alerts: '/alerts',
}

for (const [width, height] of [[1440, 900], [390, 844]]) {
  for (const scheme of ['light', 'dark']) {
    const context = await chromium.launchPersistentContext(await mkdtemp(join(tmpdir(), 'shots-')), { executablePath: '/usr/bin/chromium', headless: true, args: FLAGS, viewport: { width, height }, colorScheme: scheme, timezoneId: 'Europe/Berlin' })
    const page = await context.newPage()
    page.on('console', (message) => message.type() === 'error' && console.log(`[console] ${message.text()}`))
    page.on('pageerror', (error) => console.log(`[pageerror] ${error.message}`))
    for (const [name, path] of Object.entries(PAGES)) {
      if (!name.includes(filter)) continue
      await page.goto(base + path)
      await page.waitForTimeout(1100)
      if (name === 'logs-query') await page.locator('[data-index="2"]').click({ timeout: 1500 }).catch(() => undefined)
      if (name === 'trace') await page.getByRole('option').filter({ hasText: 'compute total' }).click({ timeout: 1500 }).catch(() => undefined)
      await page.waitForTimeout(350)
      await page.screenshot({ path: join(out, `${name}-${width}-${scheme}.png`) })
    }
    await context.close()
  }
}
