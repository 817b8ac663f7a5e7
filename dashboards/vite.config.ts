import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

const collector = process.env.VERVET_COLLECTOR ?? 'http://127.0.0.1:7420'

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2022',
    assetsDir: 'assets',
    // Inlined assets would need data: in font-src and script-src; every asset stays a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    sourcemap: false,
  },
  server: {
    proxy: Object.fromEntries(['/api', '/loki', '/tempo'].map((prefix) => [prefix, collector])),
  },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
})
