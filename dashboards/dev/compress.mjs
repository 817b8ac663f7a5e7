// Writes a .br and a .gz beside every compressible file of dist, so that the server never compresses at run time.
// A copy that saves under 5 % is not written; fonts and images are left as they are.
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join, extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

const DIST = fileURLToPath(new URL('../dist', import.meta.url))
const COMPRESSIBLE = new Set(['.js', '.css', '.svg', '.json', '.html', '.txt'])
const BYTES_MIN = 512

const totals = {}
for (const entry of await readdir(DIST, { recursive: true })) {
  const path = join(DIST, entry)
  const extension = extname(entry)
  // index.html is rewritten on every request (nonce), so a compressed copy would be stale.
  if (!COMPRESSIBLE.has(extension) || entry === 'index.html' || !(await stat(path)).isFile()) continue
  const bytes = await readFile(path)
  if (bytes.length < BYTES_MIN) continue
  const gz = gzipSync(bytes, { level: 9 })
  const br = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  })
  if (gz.length < bytes.length * 0.95) await writeFile(`${path}.gz`, gz)
  if (br.length < bytes.length * 0.95) await writeFile(`${path}.br`, br)
  const total = (totals[extension] ??= { files: 0, raw: 0, gz: 0, br: 0 })
  total.files += 1
  total.raw += bytes.length
  total.gz += gz.length
  total.br += br.length
}

const kib = (n) => `${(n / 1024).toFixed(1)} KiB`
for (const [extension, t] of Object.entries(totals)) {
  process.stdout.write(`${extension}: ${t.files} files, ${kib(t.raw)} raw, ${kib(t.gz)} gzip, ${kib(t.br)} brotli\n`)
}
