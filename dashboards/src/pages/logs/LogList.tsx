// The lines, windowed. Arrow keys move the selection, Enter opens it, and the next page loads near the end.
import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useMemo, useRef, type KeyboardEvent } from 'react'
import type { LogRow } from '../../api/loki'
import { useSettings } from '../../app/settings'
import { useUrlState } from '../../app/state'
import { formatClock, formatCount, formatInstantFull, type Zone } from '../../lib/format'
import { levelColor, normalizeLevel } from '../../lib/levels'
import { searchTerms } from '../../lib/logql'
import { LevelTag } from '../../ui/LevelTag'
import css from './logs.module.css'

const ROW_PX = 22
const LOAD_AHEAD_ROWS = 60
const LINE_CHARS_SHOWN = 2000

interface Pages {
  hasNextPage: boolean
  isFetchingNextPage: boolean
  isError: boolean
  error: Error | null
  fetchNextPage: () => unknown
}

export function LogList({ rows, pages }: { rows: LogRow[]; pages: Pages }) {
  const [search, patch] = useUrlState()
  const { zone } = useSettings()
  const scroller = useRef<HTMLDivElement>(null)
  const wrap = search.wrap === '1'
  const terms = useMemo(() => searchTerms(search.q ?? ''), [search.q])
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    getItemKey: (i) => rows[i]?.key ?? i,
    overscan: 12,
  })
  const items = virtual.getVirtualItems()
  const lastShown = items.at(-1)?.index ?? 0
  const { hasNextPage, isFetchingNextPage, fetchNextPage, isError } = pages

  useEffect(() => {
    if (lastShown > rows.length - LOAD_AHEAD_ROWS && hasNextPage && !isFetchingNextPage && !isError) void fetchNextPage()
  }, [lastShown, rows.length, hasNextPage, isFetchingNextPage, isError, fetchNextPage])
  useEffect(() => virtual.measure(), [wrap, virtual])

  const onKey = (event: KeyboardEvent) => {
    const by = event.key === 'ArrowDown' || event.key === 'j' ? 1 : event.key === 'ArrowUp' || event.key === 'k' ? -1 : 0
    if (by === 0) return
    event.preventDefault()
    const at = rows.findIndex((row) => row.key === search.row)
    const next = Math.min(Math.max(at + by, 0), rows.length - 1)
    virtual.scrollToIndex(next)
    patch({ row: rows[next]?.key }, true)
  }

  return (
    <div ref={scroller} className={css.list} data-wrap={wrap || undefined} tabIndex={0} role="region" aria-label="Log lines. Arrow keys move the selection." onKeyDown={onKey}>
      <div className={css.inner} style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const row = rows[item.index]
          return row && (
            <Line
              key={item.key} row={row} zone={zone} terms={terms} top={item.start} current={search.row === row.key}
              index={item.index} measure={wrap ? virtual.measureElement : undefined}
              onOpen={() => patch({ row: search.row === row.key ? undefined : row.key }, search.row !== undefined)}
            />
          )
        })}
      </div>
      <p className={css.end} role="status">
        {isFetchingNextPage ? 'Loading more…'
          : isError ? `Could not load more: ${pages.error?.message ?? ''}`
            : hasNextPage ? '' : `End: ${formatCount(rows.length)} lines`}
      </p>
    </div>
  )
}

interface LineProps {
  row: LogRow
  zone: Zone
  terms: string[]
  top: number
  current: boolean
  index: number
  measure: ((element: Element | null) => void) | undefined
  onOpen: () => void
}

function Line({ row, zone, terms, top, current, index, measure, onOpen }: LineProps) {
  const level = row.stream['level']
  return (
    <button
      ref={measure} type="button" className={css.line} data-index={index} tabIndex={-1} aria-current={current}
      style={{ transform: `translateY(${top}px)` }} onClick={onOpen}
    >
      <span className={css.mark} style={{ background: levelColor(normalizeLevel(level)) }} aria-hidden />
      <span className={css.time} title={formatInstantFull(row.timeMs, zone)}>{formatClock(row.timeMs, zone)}<span className={css.ms}>.{String(row.timeMs % 1000).padStart(3, '0')}</span></span>
      <span className={css.lvl}><LevelTag level={level} /></span>
      <span className={css.service}>{row.stream['service_name'] ?? ''}</span>
      <span className={css.text}><Highlighted text={row.line.slice(0, LINE_CHARS_SHOWN)} terms={terms} /></span>
    </button>
  )
}

export function Highlighted({ text, terms }: { text: string; terms: string[] }) {
  const parts: { text: string; hit: boolean }[] = []
  let rest = text
  while (rest !== '' && parts.length < 100) {
    const hit = terms
      .map((term) => ({ term, at: rest.indexOf(term) }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at || b.term.length - a.term.length)[0]
    if (!hit) break
    if (hit.at > 0) parts.push({ text: rest.slice(0, hit.at), hit: false })
    parts.push({ text: hit.term, hit: true })
    rest = rest.slice(hit.at + hit.term.length)
  }
  if (rest !== '') parts.push({ text: rest, hit: false })
  return parts.map((part, i) => (part.hit ? <mark key={i}>{part.text}</mark> : part.text))
}
