import { normalizeLevel } from '../lib/levels'

export function LevelTag({ level }: { level: string | undefined }) {
  const known = normalizeLevel(level)
  return (
    <span className="mono" style={{ color: `var(--level-${known}-text)`, fontWeight: 600, fontSize: 11 }}>
      {(level ?? 'unknown').toLowerCase()}
    </span>
  )
}
