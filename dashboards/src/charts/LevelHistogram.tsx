// Log lines over time, stacked by level. Drag to zoom.
import { useState, type PointerEvent } from 'react'
import { useZone } from '../app/settings'
import { formatClock, formatCount, formatInstant, timeTicks } from '../lib/format'
import type { Bucket } from '../lib/counts'
import { levelColor, LEVELS } from '../lib/levels'
import { useWidth } from './useWidth'
import css from './charts.module.css'

interface Props {
  buckets: Bucket[]
  stepMs: number
  startMs: number
  endMs: number
  height?: number
  onZoom: (startMs: number, endMs: number) => void
}

const AXIS = 18
const LEFT = 40

export function LevelHistogram({ buckets, stepMs, startMs, endMs, height = 104, onZoom }: Props) {
  const [ref, width] = useWidth<HTMLDivElement>()
  const [drag, setDrag] = useState<[number, number]>()
  const [hover, setHover] = useState<number>()
  const zone = useZone()
  const plot = Math.max(width - LEFT, 1)
  const inner = height - AXIS - 6
  const top = niceTop(Math.max(...buckets.map((b) => b.total), 1))
  const x = (ms: number) => LEFT + ((ms - startMs) / (endMs - startMs)) * plot
  const msAt = (px: number) => startMs + ((Math.min(Math.max(px, LEFT), width) - LEFT) / plot) * (endMs - startMs)
  const localX = (event: PointerEvent) => event.clientX - event.currentTarget.getBoundingClientRect().left

  const onUp = () => {
    if (drag && Math.abs(drag[1] - drag[0]) > 4) onZoom(msAt(Math.min(...drag)), msAt(Math.max(...drag)))
    setDrag(undefined)
  }
  const hovered = hover === undefined ? undefined : buckets.find((b) => hover >= b.startMs && hover < b.startMs + stepMs)
  const total = buckets.reduce((sum, b) => sum + b.total, 0)

  return (
    <div ref={ref} className={css.histogram} style={{ height }}>
      {width > 0 && (
        <svg
          width={width} height={height} role="img" aria-label={`${formatCount(total)} lines over time by level`}
          onPointerDown={(e) => { e.currentTarget.setPointerCapture(e.pointerId); setDrag([localX(e), localX(e)]) }}
          onPointerMove={(e) => { const at = localX(e); setHover(msAt(at)); if (drag) setDrag([drag[0], at]) }}
          onPointerUp={onUp} onPointerCancel={() => setDrag(undefined)} onPointerLeave={() => setHover(undefined)}
        >
          {[0, 0.5, 1].map((part) => (
            <g key={part}>
              <line x1={LEFT} x2={width} y1={6 + inner * (1 - part)} y2={6 + inner * (1 - part)} className={css.gridLine} />
              {part > 0 && <text x={LEFT - 6} y={9.5 + inner * (1 - part)} className={css.tickY}>{formatCount(top * part)}</text>}
            </g>
          ))}
          {buckets.map((bucket) => <Bar key={bucket.startMs} bucket={bucket} x0={x(bucket.startMs)} x1={x(bucket.startMs + stepMs)} bottom={6 + inner} scale={inner / top} min={LEFT} max={width} />)}
          {timeTicks(startMs, endMs, Math.max(2, Math.floor(plot / 90)), zone).map((tick) => (
            <text key={tick.ms} x={x(tick.ms)} y={height - 4} className={css.tickX}>{tick.text}</text>
          ))}
          {drag && <rect x={Math.min(...drag)} width={Math.abs(drag[1] - drag[0])} y={0} height={height - AXIS} className={css.brush} />}
        </svg>
      )}
      {hovered && !drag && hovered.total > 0 && (
        <div className={css.tip} style={tipPlace(x(hovered.startMs + stepMs / 2), width)}>
          <strong>{formatInstant(hovered.startMs, zone)} to {formatClock(hovered.startMs + stepMs, zone)}</strong>
          {LEVELS.filter((level) => hovered.counts[level]).map((level) => (
            <span key={level} className={css.tipRow}>
              <i style={{ background: levelColor(level) }} />{level}<b>{formatCount(hovered.counts[level])}</b>
            </span>
          ))}
        </div>
      )}
    </div>
  )
}

function Bar({ bucket, x0, x1, bottom, scale, min, max }: { bucket: Bucket; x0: number; x1: number; bottom: number; scale: number; min: number; max: number }) {
  const left = Math.max(x0, min)
  const width = Math.max(Math.min(x1, max) - left - 1, 0.5)
  let y = bottom
  return (
    <>
      {LEVELS.map((level) => {
        const count = bucket.counts[level] ?? 0
        if (count === 0) return null
        const h = Math.max(count * scale, 1)
        y -= h
        return <rect key={level} x={left} y={y} width={width} height={h} fill={levelColor(level)} />
      })}
    </>
  )
}

/** The tip stays inside the chart: to the left of the bar in the right half, to the right of it otherwise. */
export function tipPlace(at: number, width: number) {
  return at > width / 2 ? { right: width - at + 10 } : { left: at + 10 }
}

export function niceTop(max: number): number {
  const power = 10 ** Math.floor(Math.log10(max))
  const lead = [1, 2, 4, 5, 6, 8, 10].find((n) => n * power >= max) ?? 10
  return Math.max(lead * power, 2)
}
