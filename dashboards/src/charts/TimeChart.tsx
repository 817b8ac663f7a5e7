// Lines over time on uPlot. Names reach the page as text nodes only: a label value is never markup.
import { useComputedColorScheme } from '@mantine/core'
import { useEffect, useMemo, useRef, useState } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { useZone } from '../app/settings'
import { formatInstant, formatNumber, formatTick } from '../lib/format'
import { tipPlace } from './LevelHistogram'
import { useWidth } from './useWidth'
import css from './charts.module.css'

export interface ChartSeries {
  name: string
  color: string
  points: [ms: number, value: number][]
}

interface Props {
  series: ChartSeries[]
  hidden?: ReadonlySet<number>
  startMs: number
  endMs: number
  stepMs: number
  height: number
  label: string
  format?: (value: number) => string
  onZoom?: (startMs: number, endMs: number) => void
}

const TIP_ROWS_MAX = 12

/** One shared time axis: a missing sample is null, and a gap wider than one step stays open. */
export function align(series: ChartSeries[]): [number[], ...(number | null)[][]] {
  const times = [...new Set(series.flatMap((s) => s.points.map(([ms]) => ms)))].sort((a, b) => a - b)
  const at = new Map(times.map((ms, i) => [ms, i]))
  const columns = series.map((s) => {
    const column: (number | null)[] = new Array<number | null>(times.length).fill(null)
    for (const [ms, value] of s.points) {
      const i = at.get(ms)
      if (i !== undefined) column[i] = Number.isFinite(value) ? value : null
    }
    return column
  })
  return [times.map((ms) => ms / 1000), ...columns]
}

export function TimeChart({ series, hidden, startMs, endMs, stepMs, height, label, format = formatNumber, onZoom }: Props) {
  const [ref, width] = useWidth<HTMLDivElement>()
  const host = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const [cursor, setCursor] = useState<{ index: number; left: number }>()
  const zone = useZone()
  const scheme = useComputedColorScheme('light')
  const data = useMemo(() => align(series), [series])
  const zoom = useRef(onZoom)
  zoom.current = onZoom

  useEffect(() => {
    if (!host.current || width === 0) return
    const style = getComputedStyle(document.documentElement)
    const ink = style.getPropertyValue('--text-3').trim()
    const grid = style.getPropertyValue('--border').trim()
    const font = `10.5px ${style.getPropertyValue('--sans')}`
    const axis = { stroke: ink, font, grid: { stroke: grid, width: 1 }, ticks: { show: false } }
    const chart = new uPlot({
      width, height, legend: { show: false }, padding: [8, 8, 0, 0],
      cursor: { y: false, drag: { x: true, y: false, setScale: false }, points: { size: 6 } },
      scales: { x: { time: true, range: () => [startMs / 1000, endMs / 1000] } },
      axes: [
        { ...axis, size: 26, space: 80, values: (_u, splits, _a, _s, incr) => splits.map((s) => formatTick(s * 1000, (incr ?? 60) * 1000, zone)) },
        { ...axis, size: 56, values: (_u, splits) => splits.map((v) => format(v)) },
      ],
      series: [{}, ...series.map((s, i) => ({
        stroke: s.color, width: 1.5, show: !hidden?.has(i), points: { show: s.points.length < 2, size: 5, fill: s.color },
        fill: series.length === 1 ? `${s.color}1f` : undefined, spanGaps: false,
      }))],
      hooks: {
        setCursor: [(u) => setCursor(u.cursor.idx === null || u.cursor.idx === undefined || (u.cursor.left ?? -1) < 0 ? undefined : { index: u.cursor.idx, left: (u.cursor.left ?? 0) + 56 })],
        setSelect: [(u) => {
          if (u.select.width > 4) zoom.current?.(u.posToVal(u.select.left, 'x') * 1000, u.posToVal(u.select.left + u.select.width, 'x') * 1000)
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
        }],
      },
    }, data as uPlot.AlignedData, host.current)
    plot.current = chart
    return () => { chart.destroy(); setCursor(undefined) }
    // The plot is rebuilt when any of these change; building takes a few milliseconds even for many series.
  }, [data, series, width, height, startMs, endMs, stepMs, zone, scheme, hidden, format])

  const rows = cursor ? tipRows(series, data, cursor.index, hidden) : []
  return (
    <div ref={ref} className={css.chart} style={{ height }} role="img" aria-label={label}>
      <div ref={host} />
      {cursor && rows.length > 0 && (
        <div className={css.tip} style={tipPlace(cursor.left, width)}>
          <strong>{formatInstant((data[0][cursor.index] ?? 0) * 1000, zone)}</strong>
          {rows.slice(0, TIP_ROWS_MAX).map((row) => (
            <span key={row.index} className={css.tipRow}>
              <i style={{ background: row.color }} /><span>{row.name}</span><b>{format(row.value)}</b>
            </span>
          ))}
          {rows.length > TIP_ROWS_MAX && <span className="dim">and {rows.length - TIP_ROWS_MAX} more</span>}
        </div>
      )}
    </div>
  )
}

function tipRows(series: ChartSeries[], data: ReturnType<typeof align>, at: number, hidden?: ReadonlySet<number>) {
  return series
    .map((s, index) => ({ index, name: s.name, color: s.color, value: (data[index + 1] as (number | null)[])[at] ?? null }))
    .filter((row): row is typeof row & { value: number } => row.value !== null && !hidden?.has(row.index))
    .sort((a, b) => b.value - a.value)
}
