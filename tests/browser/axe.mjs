// Accessibility: axe in the page, and only what is serious or critical counts as a failure.
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

const source = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const COUNTED = new Set(['serious', 'critical'])

export async function auditPage(page) {
  // Evaluated through the debugger, which the page's content policy does not touch.
  if (!(await page.evaluate('typeof window.axe === "object"'))) await page.evaluate(source)
  // A panel that is still fading in would be measured at half its contrast.
  await page.waitForTimeout(100)
  await page.evaluate(() => Promise.all(document.getAnimations()
    .filter((animation) => Number.isFinite(animation.effect?.getComputedTiming().endTime))
    .map((animation) => animation.finished.catch(() => undefined))))
  const { violations } = await page.evaluate('axe.run(document, { resultTypes: ["violations"] })')
  const counted = violations.filter((violation) => COUNTED.has(violation.impact))
  if (counted.length > 0) throw new Error(counted.map(describe).join(' | '))
}

function describe({ id, impact, nodes }) {
  return `${id} (${impact}): ${nodes.slice(0, 3).map((node) => `${node.target.join(' ')} ${node.any[0]?.message ?? ''}`.trim()).join('; ')}`
}
