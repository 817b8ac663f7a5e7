import { IconBell, IconBinoculars } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import type { ServiceRow } from '../../api/vervet'
import { environmentKind, ENVIRONMENT_COLOR } from '../../app/environments'
import { useLinkSearch, useRange, useUrlState } from '../../app/state'
import { Sparkline } from '../../charts/Sparkline'
import { formatAgo, formatCount, formatDuration, formatNumber, formatShare } from '../../lib/format'
import { Empty } from '../../ui/States'
import css from './overview.module.css'

type Column = 'trouble' | 'service_name' | 'rate' | 'error_ratio' | 'p50_ms' | 'p99_ms' | 'log_errors' | 'last_seen_unix_ms'

const COLUMNS: { key: Column; label: string; numeric: boolean; spark?: boolean }[] = [
  { key: 'service_name', label: 'Service', numeric: false },
  { key: 'rate', label: 'Requests/s', numeric: true, spark: true },
  { key: 'error_ratio', label: 'Errors', numeric: true },
  { key: 'p50_ms', label: 'p50', numeric: true },
  { key: 'p99_ms', label: 'p99', numeric: true },
  { key: 'log_errors', label: 'Error lines', numeric: true },
  { key: 'trouble', label: 'Issues', numeric: false },
  { key: 'last_seen_unix_ms', label: 'Last seen', numeric: true },
]

export function ServiceTable({ rows }: { rows: ServiceRow[] }) {
  const [search, patch] = useUrlState()
  const [filter, setFilter] = useState('')
  const { nowMs } = useRange()
  const [key, direction] = (search.sort ?? 'trouble.desc').split('.') as [Column, string]
  const shown = sortRows(rows, key, direction === 'desc').filter((row) => row.service_name.toLowerCase().includes(filter.toLowerCase()))
  const sortBy = (column: Column) => {
    const first = column === 'service_name' ? 'asc' : 'desc'
    const next = key === column && direction === first ? (first === 'asc' ? 'desc' : 'asc') : first
    patch({ sort: column === 'trouble' && next === 'desc' ? undefined : `${column}.${next}` }, true)
  }

  if (rows.length === 0) return <div className="card"><NoServices env={search.env} /></div>
  return (
    <section className={`card ${css.tableCard}`} aria-label="Services">
      <div className="card-head">
        <h2>Services</h2><span className="chip">{rows.length}</span>
        <input
          className="field" style={{ marginLeft: 'auto', width: 180 }} type="search" aria-label="Filter services" placeholder="Filter services"
          data-query-box value={filter} onChange={(e) => setFilter(e.target.value)}
        />
      </div>
      <div className="scroll-x" tabIndex={0} role="region" aria-label="Services table">
        <table className="table stack">
          <thead>
            <tr>
              {COLUMNS.map((column) => (
                <Head key={column.key} label={column.label} numeric={column.numeric} spark={column.spark} sorted={key === column.key ? direction : undefined} onSort={() => sortBy(column.key)} />
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((row) => <Row key={`${row.service_name}/${row.environment}`} row={row} nowMs={nowMs} />)}
          </tbody>
        </table>
        {shown.length === 0 && <Empty title="No service has that in its name" />}
      </div>
    </section>
  )
}

function Head({ label, numeric, spark, sorted, onSort }: { label: string; numeric: boolean; spark?: boolean | undefined; sorted?: string | undefined; onSort: () => void }) {
  return (
    <>
      <th className={numeric ? 'num' : undefined} aria-sort={sorted ? (sorted === 'desc' ? 'descending' : 'ascending') : undefined}>
        <button type="button" onClick={onSort}>{label}{sorted ? (sorted === 'desc' ? ' ↓' : ' ↑') : ''}</button>
      </th>
      {spark && <th className={css.sparkCell}>Traffic</th>}
    </>
  )
}

function Row({ row, nowMs }: { row: ServiceRow; nowMs: number }) {
  const linkSearch = useLinkSearch()
  const own = row.environment ? { env: row.environment } : {}
  const ratio = row.error_ratio ?? 0
  return (
    <tr>
      <td>
        <div className={css.service}>
          <Link to="/traces" search={linkSearch({ ...own, service: row.service_name }) as never}>{row.service_name}</Link>
          {row.environment && <span className="row" style={{ gap: 5 }}><i className="dot" style={{ background: ENVIRONMENT_COLOR[environmentKind(row.environment)], width: 6, height: 6 }} />{row.environment}</span>}
        </div>
      </td>
      <td className="num" data-label="req/s">{formatNumber(row.rate)}</td>
      <td className={css.sparkCell}>{row.sparkline?.length ? <Sparkline values={row.sparkline} label={`Requests of ${row.service_name} over time`} /> : null}</td>
      <td data-label="errors" className={`num ${ratio >= 0.01 ? 'bad' : ''}`}>
        {formatShare(row.error_ratio)}
        <span className={css.meter} aria-hidden><i style={{ width: `${Math.min(100, ratio * 1000)}%` }} /></span>
      </td>
      <td className="num" data-label="p50">{formatDuration(row.p50_ms)}</td>
      <td className="num" data-label="p99">{formatDuration(row.p99_ms)}</td>
      <td className="num" data-label="error lines">
        <Link to="/logs" search={linkSearch({ ...own, service: row.service_name, level: (row.log_errors ?? 0) > 0 ? 'error,fatal' : undefined }) as never} aria-label={`${formatCount(row.log_errors ?? 0)} error lines of ${row.service_name}: open its logs`}>
          {formatCount(row.log_errors ?? 0)}
        </Link>
      </td>
      <td>
        <span className="row" style={{ gap: 4 }}>
          {(row.firing_alerts ?? 0) > 0 && (
            <Link className="chip chip-bad" to="/alerts" search={linkSearch({ q: row.service_name }) as never}><IconBell size={12} aria-hidden />{row.firing_alerts} firing</Link>
          )}
          {(row.new_errors ?? 0) > 0 && (
            <Link className="chip chip-warn" to="/errors" search={linkSearch({ ...own, service: row.service_name, sort: 'first_seen' }) as never}>{row.new_errors} new</Link>
          )}
          {!row.firing_alerts && !row.new_errors && <span className="dim">none</span>}
        </span>
      </td>
      <td className="num dim" data-label="seen">{formatAgo(row.last_seen_unix_ms, nowMs)}</td>
    </tr>
  )
}

/** Firing alerts weigh most, then new errors, then a visible share of failures; traffic breaks ties. */
function trouble(row: ServiceRow): number {
  const share = (row.error_ratio ?? 0) >= 0.01 ? 1 + (row.error_ratio ?? 0) : 0
  return (row.firing_alerts ?? 0) * 1e6 + (row.new_errors ?? 0) * 1e4 + share * 1e3 + Math.min(row.rate ?? 0, 1e5) / 1e3
}

function sortRows(rows: ServiceRow[], key: Column, descending: boolean): ServiceRow[] {
  const value = (row: ServiceRow) => (key === 'trouble' ? trouble(row) : (row[key] ?? -Infinity))
  const sign = descending ? -1 : 1
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)]
    return (x < y ? -sign : x > y ? sign : 0) || a.service_name.localeCompare(b.service_name)
  })
}

function NoServices({ env }: { env: string | undefined }) {
  return (
    <Empty
      icon={<IconBinoculars size={20} />}
      title={env ? `Nothing from ${env} in this time range` : 'No service has sent anything in this time range'}
      hint={
        <>
          {env ? 'Try all environments, or a longer range.' : 'Point an OpenTelemetry SDK at this collector, or run an agent on a node:'}
          {!env && <pre>{`OTEL_EXPORTER_OTLP_ENDPOINT=http://${location.hostname}:4318\nOTEL_SERVICE_NAME=my-service\n\nvervet-agent run --config agent.yaml`}</pre>}
        </>
      }
    />
  )
}
