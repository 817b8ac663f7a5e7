import { IconArrowsSort, IconTextWrap } from '@tabler/icons-react'
import { lazy, Suspense } from 'react'
import { useRange, useUrlState } from '../../app/state'
import { LevelHistogram } from '../../charts/LevelHistogram'
import { formatCount } from '../../lib/format'
import { queryKind } from '../../lib/logql'
import { Page } from '../../ui/Page'
import { Failure, SkeletonBlock, SkeletonRows } from '../../ui/States'
import { Facets } from './Facets'
import { LogDrawer } from './LogDrawer'
import { LogList } from './LogList'
import { NoLogs } from './NoLogs'
import { QueryBar } from './QueryBar'
import { useLogCounts, useLogPages } from './useLogs'
import css from './logs.module.css'

const LogMetric = lazy(() => import('./LogMetric').then((m) => ({ default: m.LogMetric })))

export function Logs() {
  const [search] = useUrlState()
  const metric = queryKind(search.q ?? '') === 'metric'
  return (
    <Page title="Logs" flush>
      <QueryBar />
      {metric ? <Suspense fallback={<SkeletonBlock height={320} />}><LogMetric /></Suspense> : <LogExplorer />}
    </Page>
  )
}

function LogExplorer() {
  const { startMs, endMs, zoomTo } = useRange()
  const [search, patch] = useUrlState()
  const { pages, rows, query } = useLogPages()
  const counts = useLogCounts()
  // The buckets reach a little past both ends of the range; once every line is loaded, the lines are the better count.
  const total = pages.hasNextPage ? Math.max(counts.total, rows.length) : rows.length
  const selected = search.row ? rows.find((row) => row.key === search.row) : undefined

  return (
    <div className={css.explorer}>
      <Facets levels={counts.byLevel} services={counts.byService} pending={counts.counts.isPending} />
      <div className={css.center}>
        <section className={css.histogram} aria-label="Lines over time">
          {counts.counts.isPending ? <SkeletonBlock height={104} />
            : counts.counts.isError ? <p className={css.note}>No histogram: {counts.counts.error.message}</p>
              : <LevelHistogram buckets={counts.buckets} stepMs={counts.stepMs} startMs={startMs} endMs={endMs} onZoom={zoomTo} />}
        </section>
        <div className={css.bar}>
          <span role="status">
            {pages.isPending ? 'Searching…' : pages.isError && rows.length === 0 ? 'Not searched' : <><strong>{formatCount(total)}</strong> lines{rows.length < total && <span className="dim">, {formatCount(rows.length)} loaded</span>}</>}
          </span>
          <span className={`mono dim cut hide-narrow ${css.effective}`} title={query}>{query}</span>
          <div className="row" style={{ marginLeft: 'auto', gap: 4 }}>
            <button type="button" className="btn btn-ghost btn-small" aria-pressed={search.wrap === '1'} onClick={() => patch({ wrap: search.wrap ? undefined : '1' }, true)}>
              <IconTextWrap size={14} aria-hidden />{search.wrap ? 'Unwrap lines' : 'Wrap lines'}
            </button>
            <button type="button" className="btn btn-ghost btn-small" onClick={() => patch({ dir: search.dir ? undefined : 'forward', row: undefined }, true)}>
              <IconArrowsSort size={14} aria-hidden />{search.dir ? 'Oldest first' : 'Newest first'}
            </button>
          </div>
        </div>
        {pages.isError && rows.length === 0 ? <Failure error={pages.error} what="search the logs" onRetry={() => void pages.refetch()} />
          : pages.isPending ? <SkeletonRows rows={14} height={12} />
            : rows.length === 0 ? <NoLogs />
              : <LogList rows={rows} pages={pages} />}
      </div>
      {selected && <LogDrawer row={selected} onClose={() => patch({ row: undefined }, true)} />}
    </div>
  )
}
