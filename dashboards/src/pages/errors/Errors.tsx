import { useQuery } from '@tanstack/react-query'
import { IconShieldCheck } from '@tabler/icons-react'
import { getErrors, seconds } from '../../api/vervet'
import { useRange, useUrlState } from '../../app/state'
import { useDraft } from '../../ui/useDebounced'
import { Page } from '../../ui/Page'
import { Empty, Failure, SkeletonRows } from '../../ui/States'
import { useServiceNames } from '../traces/TraceForm'
import { ErrorTable } from './ErrorTable'
import css from './errors.module.css'

export const PAGE_SIZE = 50

export function Errors() {
  const [search] = useUrlState()
  const { startMs, endMs } = useRange()
  const state = search.state ?? 'open'
  const page = Math.max(0, Number(search.page) || 0)
  const filter = {
    service: search.service, environment: search.env, state: state === 'all' ? undefined : state, q: search.q,
    start: seconds(startMs), end: seconds(endMs) + 1, limit: PAGE_SIZE, offset: page * PAGE_SIZE, sort: search.sort ?? 'last_seen',
  }
  const errors = useQuery({
    queryKey: ['errors', filter],
    queryFn: ({ signal }) => getErrors(filter, signal),
    placeholderData: (previous) => previous,
  })
  return (
    <Page title="Errors">
      <Filters state={state} />
      <section className="card" aria-label="Error groups">
        {errors.isError && !errors.data ? <Failure error={errors.error} what="load the errors" onRetry={() => void errors.refetch()} />
          : errors.isPending ? <SkeletonRows rows={8} height={26} />
            : errors.data.groups.length === 0 ? <NoErrors state={state} />
              : <ErrorTable groups={errors.data.groups} total={errors.data.total} page={page} />}
      </section>
    </Page>
  )
}

const STATES = [['open', 'Open'], ['resolved', 'Resolved'], ['ignored', 'Ignored'], ['all', 'All']] as const

function Filters({ state }: { state: string }) {
  const [search, patch] = useUrlState()
  const [draft, change, flush] = useDraft(search.q ?? '', (q) => patch({ q: q.trim() || undefined, page: undefined }, true))
  const services = useServiceNames()
  return (
    <form className={css.filters} role="search" aria-label="Error search" onSubmit={(e) => { e.preventDefault(); flush() }}>
      <div className="seg" role="group" aria-label="State">
        {STATES.map(([value, label]) => (
          <button key={value} type="button" aria-pressed={state === value} onClick={() => patch({ state: value === 'open' ? undefined : value, page: undefined })}>{label}</button>
        ))}
      </div>
      <input className={`field ${css.search}`} type="search" data-query-box aria-label="Search in titles and messages" placeholder="Search in titles and messages" value={draft} onChange={(e) => change(e.target.value)} />
      <select className="field" aria-label="Service" value={search.service ?? ''} onChange={(e) => patch({ service: e.target.value, page: undefined })}>
        <option value="">Any service</option>
        {[...new Set([...services, ...(search.service ? [search.service] : [])])].sort().map((name) => <option key={name}>{name}</option>)}
      </select>
      <select className="field" aria-label="Order" value={search.sort ?? 'last_seen'} onChange={(e) => patch({ sort: e.target.value === 'last_seen' ? undefined : e.target.value, page: undefined })}>
        <option value="last_seen">Last seen first</option>
        <option value="first_seen">Newest first</option>
        <option value="count">Most frequent first</option>
      </select>
    </form>
  )
}

function NoErrors({ state }: { state: string }) {
  const [search, patch] = useUrlState()
  const filtered = Boolean(search.q || search.service || search.env || state !== 'open')
  return (
    <Empty
      icon={<IconShieldCheck size={20} />}
      title={filtered ? 'No error group matches' : 'No open errors in this time range'}
      hint={filtered
        ? <button type="button" className="btn" style={{ marginTop: 8 }} onClick={() => patch({ q: undefined, service: undefined, env: undefined, state: undefined })}>Clear filters</button>
        : <>Exceptions on spans, in log records and in plain output become error groups by themselves. Sentry SDKs may report here too: set their DSN to this collector.<pre>{`SENTRY_DSN=http://key@${location.host}/1`}</pre></>}
    />
  )
}
