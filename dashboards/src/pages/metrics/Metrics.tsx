import { useQuery } from '@tanstack/react-query'
import { IconChartLine } from '@tabler/icons-react'
import { useEffect, useState } from 'react'
import { queryInstant, queryRange } from '../../api/prometheus'
import { useRange, useUrlState } from '../../app/state'
import { niceStepSeconds } from '../../lib/time'
import { Page } from '../../ui/Page'
import { Empty, Failure, SkeletonBlock } from '../../ui/States'
import { Graph } from './Graph'
import { PromEditor } from './PromEditor'
import { ResultTable } from './ResultTable'
import css from './metrics.module.css'

const POINTS_MAX = 240

export function Metrics() {
  const [search, patch] = useUrlState()
  const { refresh } = useRange()
  const expr = search.expr ?? ''
  const [draft, setDraft] = useState(expr)
  useEffect(() => setDraft(expr), [expr])
  const run = (next: string) => {
    const trimmed = next.trim()
    if (trimmed === expr) refresh()
    else patch({ expr: trimmed || undefined })
  }
  return (
    <Page title="Metrics">
      <div className={css.stack}>
        <div className={css.top}>
          <PromEditor value={draft} onChange={setDraft} onRun={run} />
          <button type="button" className="btn btn-primary" onClick={() => run(draft)}>Run</button>
        </div>
        {search.env && !expr.includes(search.env) && (
          <p className={css.note}>PromQL runs as written: the choice of {search.env} does not filter it. Add <span className="mono">deployment_environment_name={JSON.stringify(search.env)}</span> to a selector.</p>
        )}
        {expr === '' ? <Start onPick={run} /> : <Result expr={expr} />}
      </div>
    </Page>
  )
}

function Result({ expr }: { expr: string }) {
  const [search, patch] = useUrlState()
  const { startMs, endMs, zoomTo } = useRange()
  const table = search.tab === 'table'
  const step = niceStepSeconds({ startMs, endMs }, POINTS_MAX)
  const answer = useQuery({
    queryKey: ['promql', expr, table, table ? 0 : startMs, endMs, step],
    queryFn: async ({ signal }) => {
      const began = performance.now()
      const result = await (table ? queryInstant(expr, endMs, signal) : queryRange(expr, startMs, endMs, step, signal))
      return { ...result, tookMs: performance.now() - began }
    },
    placeholderData: (previous, query) => (query?.queryKey[1] === expr && query.queryKey[2] === table ? previous : undefined),
  })
  return (
    <section className="card" aria-label="Result">
      <div className={css.resultHead}>
        <div className="seg" role="group" aria-label="Show as">
          <button type="button" aria-pressed={!table} onClick={() => patch({ tab: undefined }, true)}>Graph</button>
          <button type="button" aria-pressed={table} onClick={() => patch({ tab: 'table' }, true)}>Table</button>
        </div>
        {answer.data && (
          <span className={css.meta} role="status">
            {answer.data.series.length} series{table ? '' : `, every ${step} s`}, {Math.round(answer.data.tookMs)} ms
          </span>
        )}
      </div>
      {answer.data?.warnings.map((text) => <p key={text} className={css.warning}>{text}</p>)}
      {answer.isError ? <Failure error={answer.error} what="run the query" onRetry={() => void answer.refetch()} />
        : answer.isPending ? <div style={{ padding: 16 }}><SkeletonBlock height={300} /></div>
          : answer.data.series.length === 0 ? <Empty title="The query returns nothing" hint="Check the metric name and the label values, or widen the time range." />
            : table ? <ResultTable series={answer.data.series} /> : <Graph series={answer.data.series} stepMs={step * 1000} startMs={startMs} endMs={endMs} onZoom={zoomTo} expr={expr} />}
    </section>
  )
}

const EXAMPLES = [
  'up',
  'sum by (service_name) (rate(http_server_request_duration_seconds_count[5m]))',
  'histogram_quantile(0.99, sum by (le, service_name) (rate(http_server_request_duration_seconds_bucket[5m])))',
  'sum by (reason) (rate(vervet_collector_dropped_total[5m]))',
]

function Start({ onPick }: { onPick: (expr: string) => void }) {
  return (
    <div className="card">
      <Empty
        icon={<IconChartLine size={20} />}
        title="Ask in PromQL"
        hint={
          <>
            Start typing for metric names, labels and functions. Enter runs the query.
            <div className={css.examples}>
              {EXAMPLES.map((example) => <button key={example} type="button" onClick={() => onPick(example)}>{example}</button>)}
            </div>
          </>
        }
      />
    </div>
  )
}
