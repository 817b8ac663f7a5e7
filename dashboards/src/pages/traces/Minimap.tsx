import { useMemo } from 'react'
import { visibleRows, type TraceTree } from '../../lib/trace'
import css from './traces.module.css'

const SPANS_DRAWN_MAX = 600
const NONE: ReadonlySet<string> = new Set()

/** The whole trace at a glance; only the longest spans of a very large one. */
export function Minimap({ tree, colors }: { tree: TraceTree; colors: Map<string, string> }) {
  const bars = useMemo(() => {
    const rows = visibleRows(tree, NONE).map((node, index) => ({ span: node.span, index }))
    if (rows.length <= SPANS_DRAWN_MAX) return rows
    return rows.sort((a, b) => b.span.endMs - b.span.startMs - (a.span.endMs - a.span.startMs)).slice(0, SPANS_DRAWN_MAX)
  }, [tree])
  const width = Math.max(tree.endMs - tree.startMs, 0.001)
  const rowHeight = 44 / Math.max(tree.spans, 8)
  return (
    <div className={css.minimap}>
      <svg viewBox="0 0 1000 52" preserveAspectRatio="none" role="img" aria-label={`${tree.spans} spans at a glance`}>
        {bars.map(({ span, index }) => (
          <rect
            key={span.spanId} x={((span.startMs - tree.startMs) / width) * 1000} y={4 + index * rowHeight}
            width={Math.max(((span.endMs - span.startMs) / width) * 1000, 1.5)} height={Math.max(rowHeight * 0.72, 0.8)}
            fill={span.error ? 'var(--bad)' : colors.get(span.service)}
          />
        ))}
      </svg>
    </div>
  )
}
