import type { Series } from '../../api/prometheus'
import css from './metrics.module.css'

const ROWS_MAX = 500

export function ResultTable({ series }: { series: Series[] }) {
  return (
    <div className="scroll-x" tabIndex={0} role="region" aria-label="Values">
      <table className="table">
        <thead><tr><th>Series</th><th className="num">Value</th></tr></thead>
        <tbody>
          {series.slice(0, ROWS_MAX).map((s, i) => (
            <tr key={i}>
              <td><SeriesLabels labels={s.metric} /></td>
              <td className="num mono">{s.value?.[1] ?? s.values?.at(-1)?.[1] ?? (s.histogram ? 'histogram' : '')}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {series.length > ROWS_MAX && <p className={css.common}>The first {ROWS_MAX} of {series.length} series.</p>}
    </div>
  )
}

export function SeriesLabels({ labels }: { labels: Record<string, string> }) {
  const { __name__: name, ...rest } = labels
  const pairs = Object.entries(rest).sort(([a], [b]) => a.localeCompare(b))
  return (
    <div className={css.labels}>
      {name && <span><b>{name}</b></span>}
      {pairs.map(([key, value]) => <span key={key}>{key}=<b>{value}</b></span>)}
      {!name && pairs.length === 0 && <span>{'{}'}</span>}
    </div>
  )
}
