import { useQuery } from '@tanstack/react-query'
import { IconBellCheck } from '@tabler/icons-react'
import { getRules, type Alert, type Rule, type RuleGroup } from '../../api/prometheus'
import { useUrlState } from '../../app/state'
import { Page } from '../../ui/Page'
import { Empty, Failure, SkeletonRows } from '../../ui/States'
import { useDraft } from '../../ui/useDebounced'
import { RuleRow } from './RuleRow'
import css from './alerts.module.css'

export type AlertState = 'firing' | 'pending' | 'inactive'
export interface RuleView { rule: Rule; state: AlertState; alerts: Alert[]; group: string }

const ENV_LABELS = ['deployment_environment_name', 'environment', 'env']
const RANK: Record<AlertState, number> = { firing: 0, pending: 1, inactive: 2 }

export function Alerts() {
  const [search] = useUrlState()
  const rules = useQuery({ queryKey: ['rules'], queryFn: ({ signal }) => getRules(signal), refetchInterval: 15_000 })
  const all = toViews(rules.data ?? [], search.env).filter((view) => matches(view, search.q ?? ''))
  const shown = search.state ? all.filter((view) => view.state === search.state) : all
  return (
    <Page title="Alerts">
      <Filters views={all} />
      {rules.isError && !rules.data ? <Failure error={rules.error} what="load the rules" onRetry={() => void rules.refetch()} />
        : rules.isPending ? <div className="card"><SkeletonRows rows={8} height={22} /></div>
          : shown.length === 0 ? <div className="card"><NoRules any={(rules.data?.length ?? 0) > 0} /></div>
            : (
              <div className={css.groups}>
                {groupViews(shown).map(([name, views]) => (
                  <section key={name} className="card" aria-label={name}>
                    <div className="card-head"><h2>{name}</h2><span className="chip">{views.length}</span></div>
                    {views.map((view, i) => <RuleRow key={`${view.rule.name}.${i}`} view={view} />)}
                  </section>
                ))}
              </div>
            )}
    </Page>
  )
}

function Filters({ views }: { views: RuleView[] }) {
  const [search, patch] = useUrlState()
  const [draft, change] = useDraft(search.q ?? '', (q) => patch({ q: q.trim() || undefined }, true))
  const count = (state: AlertState) => views.filter((view) => view.state === state).length
  const states: [AlertState, string][] = [['firing', 'Firing'], ['pending', 'Pending'], ['inactive', 'Inactive']]
  return (
    <div className={css.filters}>
      <div className="seg" role="group" aria-label="State">
        <button type="button" aria-pressed={!search.state} onClick={() => patch({ state: undefined })}>All {views.length}</button>
        {states.map(([state, label]) => <button key={state} type="button" aria-pressed={search.state === state} onClick={() => patch({ state })}>{label} {count(state)}</button>)}
      </div>
      <input className={`field ${css.search}`} type="search" data-query-box aria-label="Filter rules by name or label" placeholder="Filter by name or label" value={draft} onChange={(e) => change(e.target.value)} />
    </div>
  )
}

/** Alerts of another environment are left out; those that name none are kept. */
export function toViews(groups: RuleGroup[], env: string | undefined): RuleView[] {
  const ofEnv = (alert: Alert) => !env || ENV_LABELS.every((label) => !(label in alert.labels) || alert.labels[label] === env)
  return groups.flatMap((group) => group.rules.filter((rule) => rule.type === 'alerting').map((rule) => {
    const alerts = (rule.alerts ?? []).filter(ofEnv)
    const state: AlertState = alerts.some((a) => a.state === 'firing') ? 'firing' : alerts.some((a) => a.state === 'pending') ? 'pending' : 'inactive'
    return { rule, state, alerts, group: group.name }
  }))
}

function matches({ rule, alerts, group }: RuleView, text: string): boolean {
  if (text === '') return true
  const haystack = [rule.name, group, ...Object.values(rule.labels ?? {}), ...alerts.flatMap((a) => Object.values(a.labels))]
  return haystack.some((part) => part.toLowerCase().includes(text.toLowerCase()))
}

/** Groups with something firing come first, and within a group what fires comes first. */
function groupViews(views: RuleView[]): [string, RuleView[]][] {
  const groups = new Map<string, RuleView[]>()
  for (const view of views) groups.set(view.group, [...(groups.get(view.group) ?? []), view])
  const loudest = (list: RuleView[]) => Math.min(...list.map((v) => RANK[v.state]))
  for (const list of groups.values()) list.sort((a, b) => RANK[a.state] - RANK[b.state] || a.rule.name.localeCompare(b.rule.name))
  return [...groups].sort(([a, x], [b, y]) => loudest(x) - loudest(y) || a.localeCompare(b))
}

function NoRules({ any }: { any: boolean }) {
  const [search, patch] = useUrlState()
  const filtered = Boolean(search.q || search.state)
  return (
    <Empty
      icon={<IconBellCheck size={20} />}
      title={filtered ? 'No rule matches' : any ? 'There are no alerting rules' : 'No rules are loaded'}
      hint={filtered
        ? <button type="button" className="btn" style={{ marginTop: 8 }} onClick={() => patch({ q: undefined, state: undefined })}>Clear filters</button>
        : <>Name Prometheus rule files in the collector's configuration. Check them first:<pre>vervet-collector rules check alert-rules/*.yaml</pre></>}
    />
  )
}
