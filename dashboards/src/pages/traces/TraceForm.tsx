import { IconSearch } from '@tabler/icons-react'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useState, type FormEvent } from 'react'
import { useQuery } from '@tanstack/react-query'
import { getServices } from '../../api/vervet'
import { useLinkSearch, useRange, useUrlState } from '../../app/state'
import { parseDuration } from '../../lib/time'
import css from './traces.module.css'

const TRACE_ID = /^[0-9a-f]{32}$/i

export function TraceForm() {
  const [search, patch] = useUrlState()
  const { refresh } = useRange()
  const navigate = useNavigate()
  const linkSearch = useLinkSearch()
  const [draft, setDraft] = useState(() => fromUrl(search))
  useEffect(() => setDraft(fromUrl(search)), [search])
  const services = useServiceNames()
  const set = (key: keyof typeof draft) => (event: { target: { value: string } }) => setDraft({ ...draft, [key]: event.target.value })
  const badMin = draft.min !== '' && parseDuration(draft.min) === undefined
  const badMax = draft.max !== '' && parseDuration(draft.max) === undefined

  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (badMin || badMax) return
    const name = draft.name.trim()
    if (TRACE_ID.test(name)) void navigate({ to: '/traces/$traceId', params: { traceId: name.toLowerCase() }, search: linkSearch() } as never)
    else {
      patch({ service: draft.service, name, min: draft.min.trim(), max: draft.max.trim(), status: draft.status })
      refresh()
    }
  }

  return (
    <form className={`card ${css.form}`} onSubmit={submit} role="search" aria-label="Trace search">
      <label><span className="label">Service</span>
        <select className="field" value={draft.service} onChange={set('service')}>
          <option value="">Any service</option>
          {[...new Set([...services, ...(draft.service ? [draft.service] : [])])].sort().map((name) => <option key={name}>{name}</option>)}
        </select>
      </label>
      <label><span className="label">Span name, or a trace id</span>
        <input className="field" data-query-box value={draft.name} onChange={set('name')} placeholder="GET /checkout" spellCheck={false} />
      </label>
      <label><span className="label">Longer than</span>
        <input className="field" value={draft.min} onChange={set('min')} placeholder="100ms" aria-invalid={badMin} title={badMin ? 'A duration such as 100ms or 1.5s' : undefined} spellCheck={false} />
      </label>
      <label><span className="label">Shorter than</span>
        <input className="field" value={draft.max} onChange={set('max')} placeholder="5s" aria-invalid={badMax} spellCheck={false} />
      </label>
      <label><span className="label">Status</span>
        <select className="field" value={draft.status} onChange={set('status')}>
          <option value="">Any</option><option value="error">Failed</option><option value="ok">Ok</option><option value="unset">Unset</option>
        </select>
      </label>
      <button type="submit" className="btn btn-primary"><IconSearch size={15} aria-hidden />Search</button>
    </form>
  )
}

const fromUrl = (s: { service?: string; name?: string; min?: string; max?: string; status?: string }) => ({
  service: s.service ?? '', name: s.name ?? '', min: s.min ?? '', max: s.max ?? '', status: s.status ?? '',
})

export function useServiceNames(): string[] {
  const { startMs, endMs } = useRange()
  const query = useQuery({
    queryKey: ['services', startMs, endMs],
    queryFn: ({ signal }) => getServices(startMs, endMs, signal),
    retry: false,
    placeholderData: (previous) => previous,
  })
  return [...new Set((query.data ?? []).map((row) => row.service_name))].sort()
}
