import { useQuery } from '@tanstack/react-query'
import { IconChevronLeft, IconListDetails } from '@tabler/icons-react'
import { Link, useParams } from '@tanstack/react-router'
import { useMemo, useState } from 'react'
import { getTrace } from '../../api/tempo'
import { useZone } from '../../app/settings'
import { useLinkSearch, useUrlState } from '../../app/state'
import { colorMap } from '../../charts/palette'
import { formatDuration, formatInstantFull } from '../../lib/format'
import { buildTree, type TraceTree } from '../../lib/trace'
import { CopyButton } from '../../ui/CopyButton'
import { Page } from '../../ui/Page'
import { Empty, Failure, SkeletonRows } from '../../ui/States'
import { ApiError } from '../../api/client'
import { Minimap } from './Minimap'
import { SpanDrawer } from './SpanDrawer'
import { Waterfall } from './Waterfall'
import { logsLink } from './links'
import css from './traces.module.css'

export function TraceDetail() {
  const { traceId } = useParams({ strict: false }) as { traceId: string }
  const linkSearch = useLinkSearch()
  const trace = useQuery({ queryKey: ['trace', traceId], queryFn: ({ signal }) => getTrace(traceId, signal), staleTime: 60_000 })
  const tree = useMemo(() => (trace.data ? buildTree(trace.data) : undefined), [trace.data])
  const root = tree?.roots[0]?.span
  const missing = tree?.spans === 0 || (trace.error instanceof ApiError && trace.error.status === 404)
  return (
    <Page
      flush title={root ? root.name : `Trace ${traceId.slice(0, 8)}`}
      parent={<Link className="btn btn-ghost btn-icon" to="/traces" search={linkSearch() as never} aria-label="Back to traces"><IconChevronLeft size={17} /></Link>}
    >
      {missing ? <Empty title="No such trace here" hint={<>The collector holds no span of <span className="mono">{traceId}</span>. It may be past its retention, not sampled, or still on its way.</>} />
        : trace.isError ? <Failure error={trace.error} what="load the trace" onRetry={() => void trace.refetch()} />
          : !tree ? <SkeletonRows rows={12} height={16} />
            : <TraceView tree={tree} traceId={traceId} />}
    </Page>
  )
}

function TraceView({ tree, traceId }: { tree: TraceTree; traceId: string }) {
  const [search, patch] = useUrlState()
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(new Set())
  const colors = useMemo(() => colorMap(tree.services.map((s) => s.name)), [tree])
  const selected = search.span ? tree.byId.get(search.span) : undefined
  const select = (spanId: string | undefined) => patch({ span: spanId }, search.span !== undefined)
  return (
    <div className={css.view}>
      <div className={css.center}>
        <Summary tree={tree} traceId={traceId} colors={colors} />
        <Minimap tree={tree} colors={colors} />
        <Waterfall
          tree={tree} colors={colors} collapsed={collapsed} selected={selected?.span.spanId} onSelect={select}
          onFold={(id) => {
            const next = new Set(collapsed)
            if (!next.delete(id)) next.add(id)
            setCollapsed(next)
          }}
        />
      </div>
      {selected && <SpanDrawer node={selected} tree={tree} color={colors.get(selected.span.service)} onClose={() => select(undefined)} />}
    </div>
  )
}

function Summary({ tree, traceId, colors }: { tree: TraceTree; traceId: string; colors: Map<string, string> }) {
  const zone = useZone()
  const linkSearch = useLinkSearch()
  return (
    <div className={css.summary}>
      <Fact label="Duration">{formatDuration(tree.endMs - tree.startMs)}</Fact>
      <Fact label="Spans">{tree.spans}</Fact>
      <Fact label="Failed"><span className={tree.errors > 0 ? 'bad' : undefined}>{tree.errors}</span></Fact>
      <Fact label="Started">{formatInstantFull(tree.startMs, zone)}</Fact>
      <span className="row" style={{ gap: 4 }}>
        <span className="mono dim hide-narrow">{traceId}</span><CopyButton text={traceId} label="Copy trace id" />
      </span>
      <Link className="btn" to="/logs" search={linkSearch(logsLink(traceId, tree.startMs, tree.endMs)) as never}>
        <IconListDetails size={15} aria-hidden />Logs of this trace
      </Link>
      <div className={css.legend}>
        {tree.services.slice(0, 8).map((s) => <span key={s.name}><i style={{ background: colors.get(s.name) }} />{s.name} <span className="dim">{s.spans}</span></span>)}
      </div>
    </div>
  )
}

function Fact({ label, children }: { label: string; children: React.ReactNode }) {
  return <div className={css.fact}><span className="label">{label}</span><b>{children}</b></div>
}
