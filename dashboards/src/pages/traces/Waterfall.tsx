// The spans as rows, windowed: a trace of 100,000 spans keeps some fifty rows in the page.
import { IconAlertCircleFilled, IconChevronDown } from '@tabler/icons-react'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useMemo, useRef, type KeyboardEvent } from 'react'
import { useWidth } from '../../charts/useWidth'
import { formatDuration } from '../../lib/format'
import { visibleRows, type SpanNode, type TraceTree } from '../../lib/trace'
import css from './traces.module.css'

const ROW_PX = 28
const INDENT_PX = 14
const DEPTH_MAX = 14

interface Props {
  tree: TraceTree
  colors: Map<string, string>
  collapsed: ReadonlySet<string>
  selected: string | undefined
  onSelect: (spanId: string) => void
  onFold: (spanId: string) => void
}

export function Waterfall({ tree, colors, collapsed, selected, onSelect, onFold }: Props) {
  const scroller = useRef<HTMLDivElement>(null)
  const [box, width] = useWidth<HTMLDivElement>()
  const rows = useMemo(() => visibleRows(tree, collapsed), [tree, collapsed])
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => scroller.current, estimateSize: () => ROW_PX, overscan: 14, getItemKey: (i) => rows[i]?.span.spanId ?? i })
  const columns = width < 700 ? 'minmax(150px, 46%) minmax(0, 1fr)' : 'minmax(240px, 38%) minmax(0, 1fr)'
  const total = Math.max(tree.endMs - tree.startMs, 0.001)

  const first = useRef(selected)
  useEffect(() => {
    const at = rows.findIndex((row) => row.span.spanId === first.current)
    if (at > 0) virtual.scrollToIndex(at, { align: 'center' })
    first.current = undefined
  }, [rows, virtual])

  const onKey = (event: KeyboardEvent) => {
    const at = rows.findIndex((row) => row.span.spanId === selected)
    const by = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    const current = rows[at]
    if (by !== 0) {
      const next = Math.min(Math.max(at + by, 0), rows.length - 1)
      event.preventDefault()
      virtual.scrollToIndex(next)
      if (rows[next]) onSelect(rows[next].span.spanId)
    } else if (current && current.children.length > 0) {
      const folded = collapsed.has(current.span.spanId)
      if ((event.key === 'ArrowLeft' && !folded) || (event.key === 'ArrowRight' && folded)) onFold(current.span.spanId)
    }
  }

  return (
    <>
      <div className={css.head} ref={box} style={{ gridTemplateColumns: columns }}>
        <span>Service and span</span>
        <div className={css.ticks} aria-hidden>
          {(width < 700 ? [0, 1] : [0, 0.25, 0.5, 0.75, 1]).map((part) => <span key={part} style={{ left: `${part * 100}%` }}>{formatDuration(total * part)}</span>)}
        </div>
      </div>
      <div ref={scroller} className={css.rows} tabIndex={0} role="listbox" aria-label="Spans. Up and down move, left and right fold." aria-activedescendant={selected ? `span-${selected}` : undefined} onKeyDown={onKey}>
        <div className={css.inner} style={{ height: virtual.getTotalSize() }} role="presentation">
          {virtual.getVirtualItems().map((item) => {
            const node = rows[item.index]
            return node && (
              <Row
                key={item.key} node={node} top={item.start} columns={columns} room={width < 700 ? 32 : 14} color={colors.get(node.span.service) ?? 'var(--accent)'} startMs={tree.startMs} total={total}
                selected={selected === node.span.spanId} folded={collapsed.has(node.span.spanId)} onSelect={onSelect} onFold={onFold}
              />
            )
          })}
        </div>
      </div>
    </>
  )
}

interface RowProps {
  node: SpanNode
  top: number
  columns: string
  /** Share of the track, in percent, that a duration needs beside its bar. */
  room: number
  color: string
  startMs: number
  total: number
  selected: boolean
  folded: boolean
  onSelect: (spanId: string) => void
  onFold: (spanId: string) => void
}

function Row({ node, top, columns, room, color, startMs, total, selected, folded, onSelect, onFold }: RowProps) {
  const { span, children, depth } = node
  const left = ((span.startMs - startMs) / total) * 100
  const width = ((span.endMs - span.startMs) / total) * 100
  // After the bar where there is room, else before it, else on it.
  const after = left + width <= 100 - room
  const inside = !after && left < room
  return (
    <div
      id={`span-${span.spanId}`} role="option" aria-selected={selected} className={css.row} style={{ transform: `translateY(${top}px)`, gridTemplateColumns: columns }}
      onClick={() => onSelect(span.spanId)}
    >
      <div className={css.label} style={{ paddingLeft: 8 + Math.min(depth, DEPTH_MAX) * INDENT_PX }}>
        <span
          className={css.fold} aria-hidden style={{ visibility: children.length > 0 ? 'visible' : 'hidden' }} data-fold={folded || undefined}
          onClick={(event) => { event.stopPropagation(); onFold(span.spanId) }}
        >
          <IconChevronDown size={14} style={folded ? { transform: 'rotate(-90deg)' } : undefined} />
        </span>
        <span className={css.swatch} style={{ background: color }} />
        <span className={css.spanName} style={node.critical ? { fontWeight: 550 } : undefined}>{span.name || '(unnamed)'}</span>
        {(span.error || (folded && node.errorBelow)) && <IconAlertCircleFilled size={14} color="var(--bad)" role="img" aria-label="failed" />}
        <span className={css.spanService}>{folded ? `+${node.descendants}` : span.service}</span>
      </div>
      <div className={css.track}>
        <span className={css.spanBar} data-critical={node.critical || undefined} style={{ left: `${left}%`, width: `${width}%`, background: span.error ? 'var(--bad)' : color }} />
        {span.events.map((event, i) => (
          <span key={i} className={css.event} data-exception={event.name === 'exception' || undefined} style={{ left: `${((event.timeMs - startMs) / total) * 100}%` }} title={event.name} />
        ))}
        <span className={inside ? `${css.dur} ${css.durInside}` : css.dur} style={inside ? undefined : after ? { left: `${left + width}%` } : { right: `${100 - left}%` }}>{formatDuration(span.endMs - span.startMs)}</span>
      </div>
    </div>
  )
}
