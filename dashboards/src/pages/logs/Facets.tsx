import { useUrlState } from '../../app/state'
import type { Facet } from '../../lib/counts'
import { formatCount } from '../../lib/format'
import { compareLevels, levelColor, normalizeLevel } from '../../lib/levels'
import { splitList, toggleInList } from '../../lib/url'
import { SkeletonRows } from '../../ui/States'
import css from './logs.module.css'

const SERVICES_SHOWN = 40

export function Facets({ levels, services, pending }: { levels: Facet[]; services: Facet[]; pending: boolean }) {
  if (pending) return <aside className={css.facets} aria-label="Filters"><SkeletonRows rows={7} height={12} /></aside>
  const sorted = [...levels].sort((a, b) => compareLevels(normalizeLevel(a.value), normalizeLevel(b.value)))
  return (
    <aside className={css.facets} aria-label="Filters" tabIndex={0}>
      {sorted.length + services.length === 0 && <p className={css.note}>Levels and services appear here once there are lines.</p>}
      <FacetGroup title="Level" name="level" facets={sorted} color={(value) => levelColor(normalizeLevel(value))} />
      <FacetGroup title="Service" name="service" facets={services.slice(0, SERVICES_SHOWN)} />
    </aside>
  )
}

function FacetGroup({ title, name, facets, color }: { title: string; name: 'level' | 'service'; facets: Facet[]; color?: (value: string) => string }) {
  const [search, patch] = useUrlState()
  const chosen = splitList(search[name])
  // A choice from the link is offered even when nothing matches it now, so that it can be taken back.
  const missing = chosen.filter((value) => !facets.some((f) => f.value === value)).map((value) => ({ value, count: 0 }))
  const all = [...facets, ...missing]
  if (all.length === 0) return null
  return (
    <div className={css.facet} role="group" aria-label={title}>
      <h2>
        {title}
        {chosen.length > 0 && <button type="button" onClick={() => patch({ [name]: undefined, row: undefined })}>Clear</button>}
      </h2>
      {all.map(({ value, count }) => (
        <button
          key={value} type="button" className={css.value} aria-pressed={chosen.includes(value)}
          onClick={() => patch({ [name]: toggleInList(search[name], value), row: undefined })}
        >
          {color && <i style={{ background: color(value) }} />}
          <span className="cut">{value}</span>
          <b>{formatCount(count)}</b>
        </button>
      ))}
    </div>
  )
}
