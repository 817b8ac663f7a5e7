import { useMemo, useState } from 'react'
import type { Series } from '../../api/prometheus'
import { seriesColor } from '../../charts/palette'
import { TimeChart, type ChartSeries } from '../../charts/TimeChart'
import { formatNumber } from '../../lib/format'
import { withGaps } from '../../lib/points'
import { commonLabels, seriesName } from '../../lib/series'
import css from './metrics.module.css'

const SERIES_MAX = 200

interface Props {
  series: Series[]
  startMs: number
  endMs: number
  stepMs: number
  expr: string
  onZoom: (startMs: number, endMs: number) => void
}

export function Graph({ series, startMs, endMs, stepMs, expr, onZoom }: Props) {
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set())
  const common = useMemo(() => commonLabels(series.map((s) => s.metric)), [series])
  const drawn = useMemo<ChartSeries[]>(() => {
    const skip = new Set(Object.keys(common))
    return series.slice(0, SERIES_MAX).map((s, i) => ({
      name: seriesName(s.metric, skip),
      color: seriesColor(i),
      points: withGaps((s.values ?? []).map(([at, v]): [number, number] => [at * 1000, Number(v)]), stepMs),
    }))
  }, [series, common, stepMs])

  const toggle = (index: number, alone: boolean) => {
    if (!alone) {
      const next = new Set(hidden)
      if (!next.delete(index)) next.add(index)
      setHidden(next)
      return
    }
    const others = drawn.map((_, i) => i).filter((i) => i !== index)
    const already = others.every((i) => hidden.has(i)) && !hidden.has(index)
    setHidden(new Set(already ? [] : others))
  }

  return (
    <>
      <div className={css.graph}>
        <TimeChart series={drawn} hidden={hidden} startMs={startMs} endMs={endMs} stepMs={stepMs} height={340} label={`Graph of ${expr}`} onZoom={onZoom} />
      </div>
      {Object.keys(common).length > 0 && <p className={css.common}>All series: {seriesName(common)}</p>}
      <div className={css.legend} tabIndex={0} role="region" aria-label="Series. Press one to show it alone, with Ctrl to hide it.">
        <div className={css.legendHead} aria-hidden><span /><span>Series</span><span>Last</span><span>Max</span></div>
        {drawn.map((s, i) => (
          <button key={i} type="button" className={css.legendRow} aria-pressed={!hidden.has(i)} onClick={(e) => toggle(i, !(e.ctrlKey || e.metaKey))}>
            <i style={{ background: s.color }} />
            <span className="cut" title={s.name}>{s.name}</span>
            <b>{formatNumber(lastOf(s))}</b>
            <small>{formatNumber(maxOf(s))}</small>
          </button>
        ))}
        {series.length > SERIES_MAX && <p className={css.common}>Drawn: the first {SERIES_MAX} of {series.length} series. Aggregate with sum by (…) or topk.</p>}
      </div>
    </>
  )
}

function lastOf(s: ChartSeries): number | undefined {
  return s.points.findLast(([, v]) => !Number.isNaN(v))?.[1]
}

function maxOf(s: ChartSeries): number | undefined {
  const values = s.points.map(([, v]) => v).filter((v) => !Number.isNaN(v))
  return values.length === 0 ? undefined : values.reduce((a, b) => Math.max(a, b))
}
