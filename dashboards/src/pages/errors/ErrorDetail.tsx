import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { IconCheck, IconChevronLeft, IconEyeOff, IconRotate2 } from '@tabler/icons-react'
import { Link, useParams } from '@tanstack/react-router'
import { ApiError } from '../../api/client'
import { changeError, getError, type ErrorDetail as Detail, type KeyCount } from '../../api/vervet'
import { useZone } from '../../app/settings'
import { useLinkSearch, useRange } from '../../app/state'
import { Sparkbars } from '../../charts/Sparkline'
import { formatAgo, formatCount, formatInstantFull } from '../../lib/format'
import { Page } from '../../ui/Page'
import { Empty, Failure, SkeletonRows } from '../../ui/States'
import { StateChip } from './ErrorTable'
import { EventView } from './EventView'
import css from './errors.module.css'

export function ErrorDetail() {
  const { errorId } = useParams({ strict: false }) as { errorId: string }
  const linkSearch = useLinkSearch()
  const { nowMs } = useRange()
  const error = useQuery({ queryKey: ['error', errorId, nowMs], queryFn: ({ signal }) => getError(errorId, signal), placeholderData: (previous) => previous })
  const missing = error.error instanceof ApiError && error.error.status === 404
  return (
    <Page
      title={error.data?.group.exception_type ?? 'Error'}
      parent={<Link className="btn btn-ghost btn-icon" to="/errors" search={linkSearch() as never} aria-label="Back to errors"><IconChevronLeft size={17} /></Link>}
    >
      {missing ? <Empty title="No such error group" hint={<>It may have been merged or removed. Go to <Link to="/errors" search={linkSearch() as never}>all errors</Link>.</>} />
        : error.isError && !error.data ? <Failure error={error.error} what="load the error" onRetry={() => void error.refetch()} />
          : !error.data ? <div className="card"><SkeletonRows rows={10} height={18} /></div>
            : <DetailView detail={error.data} id={errorId} />}
    </Page>
  )
}

function DetailView({ detail, id }: { detail: Detail; id: string }) {
  const { group } = detail
  return (
    <div className={css.detail}>
      <div className={css.main}>
        <section className={`card ${css.hero}`} aria-label="Error">
          <div className={css.heroMeta}>
            <StateChip group={group} always />
            {group.level && <span className="chip">{group.level}</span>}
            {group.service_name && <span className="chip">{group.service_name}</span>}
            {(group.environments ?? []).map((name) => <span key={name} className="chip">{name}</span>)}
          </div>
          <p className={css.heroTitle}>{group.title}</p>
          {group.message && !group.title.includes(group.message) && <p className={css.heroMessage}>{group.message}</p>}
          {group.culprit && <p className="mono dim" style={{ marginTop: 4 }}>{group.culprit}</p>}
          <Actions detail={detail} id={id} />
        </section>
        <EventView events={detail.events ?? []} />
      </div>
      <aside className={css.side} aria-label="Figures">
        <Figures detail={detail} />
        <Tally title="Versions" counts={detail.counts_by_version ?? []} />
        <Tally title="Environments" counts={detail.counts_by_environment ?? []} />
        {(detail.grouping?.explanation?.length ?? 0) > 0 && (
          <section className={`card ${css.block}`}>
            <h2>Why these are one group</h2>
            <ul className={css.explain}>{detail.grouping?.explanation?.map((line, i) => <li key={i}>{line}</li>)}</ul>
            {detail.grouping?.version !== undefined && <p className="dim" style={{ marginTop: 8, fontSize: 11 }}>Grouping rules {detail.grouping.version}</p>}
          </section>
        )}
      </aside>
    </div>
  )
}

function Actions({ detail, id }: { detail: Detail; id: string }) {
  const queries = useQueryClient()
  const change = useMutation({
    mutationFn: (action: 'resolve' | 'reopen' | 'ignore') => changeError(id, action),
    onSuccess: async (answer) => {
      queries.setQueriesData<Detail>({ queryKey: ['error', id] }, (old) => (old ? { ...old, group: answer.group } : old))
      await queries.invalidateQueries({ queryKey: ['errors'] })
    },
  })
  const { state } = detail.group
  return (
    <>
      <div className={css.actions}>
        {state !== 'resolved' && <button type="button" className="btn btn-primary" disabled={change.isPending} onClick={() => change.mutate('resolve')}><IconCheck size={15} aria-hidden />Resolve</button>}
        {state !== 'open' && <button type="button" className="btn" disabled={change.isPending} onClick={() => change.mutate('reopen')}><IconRotate2 size={15} aria-hidden />Reopen</button>}
        {state !== 'ignored' && <button type="button" className="btn" disabled={change.isPending} onClick={() => change.mutate('ignore')}><IconEyeOff size={15} aria-hidden />Ignore</button>}
      </div>
      {change.isError && <Failure error={change.error} what="change the state" />}
    </>
  )
}

function Figures({ detail: { group } }: { detail: Detail }) {
  const zone = useZone()
  const { nowMs } = useRange()
  return (
    <section className="card" aria-label="Counts">
      <div className={css.facts}>
        <div className={css.fact}><span className="label">Events</span><b>{formatCount(group.count)}</b></div>
        <div className={css.fact}><span className="label">Level</span><b>{group.level ?? '–'}</b></div>
        <div className={css.fact} title={group.first_seen_unix_ms ? formatInstantFull(group.first_seen_unix_ms, zone) : undefined}><span className="label">First seen</span><b>{formatAgo(group.first_seen_unix_ms, nowMs)}</b>{group.first_version && <span className="mono dim">{group.first_version}</span>}</div>
        <div className={css.fact} title={group.last_seen_unix_ms ? formatInstantFull(group.last_seen_unix_ms, zone) : undefined}><span className="label">Last seen</span><b>{formatAgo(group.last_seen_unix_ms, nowMs)}</b>{group.last_version && <span className="mono dim">{group.last_version}</span>}</div>
      </div>
      {group.sparkline?.length ? <div style={{ padding: '0 14px 12px' }}><Sparkbars values={group.sparkline} label="Events over time" width={270} height={44} /></div> : null}
    </section>
  )
}

function Tally({ title, counts }: { title: string; counts: KeyCount[] }) {
  if (counts.length === 0) return null
  const most = Math.max(...counts.map((c) => c.count), 1)
  return (
    <section className={`card ${css.block}`}>
      <h2>{title}</h2>
      <div className={css.tally}>
        {counts.slice(0, 8).map(({ key, count }) => [
          <span key={`k${key}`} className="cut mono">{key || '(none)'}</span>,
          <span key={`c${key}`} className="num">{formatCount(count)}</span>,
          <div key={`b${key}`}><i style={{ width: `${(count / most) * 100}%` }} /></div>,
        ])}
      </div>
    </section>
  )
}
