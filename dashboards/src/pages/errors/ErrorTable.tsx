import { Link } from '@tanstack/react-router'
import type { ErrorGroup } from '../../api/vervet'
import { useLinkSearch, useRange, useUrlState } from '../../app/state'
import { Sparkbars } from '../../charts/Sparkline'
import { formatAgo, formatCount } from '../../lib/format'
import { PAGE_SIZE } from './Errors'
import css from './errors.module.css'

export function ErrorTable({ groups, total, page }: { groups: ErrorGroup[]; total: number; page: number }) {
  const [, patch] = useUrlState()
  const go = (next: number) => patch({ page: next === 0 ? undefined : String(next) })
  return (
    <>
      <div className="scroll-x" tabIndex={0} role="region" aria-label="Error groups table">
        <table className="table stack">
          <thead><tr><th>Error</th><th>Over time</th><th className="num">Events</th><th>Versions</th><th className="num">First seen</th><th className="num">Last seen</th></tr></thead>
          <tbody>{groups.map((group) => <Row key={group.id} group={group} />)}</tbody>
        </table>
      </div>
      {total > PAGE_SIZE && (
        <div className={css.pager}>
          {page * PAGE_SIZE + 1} to {page * PAGE_SIZE + groups.length} of {formatCount(total)}
          <button type="button" className="btn" disabled={page === 0} onClick={() => go(page - 1)}>Previous</button>
          <button type="button" className="btn" disabled={(page + 1) * PAGE_SIZE >= total} onClick={() => go(page + 1)}>Next</button>
        </div>
      )}
    </>
  )
}

function Row({ group }: { group: ErrorGroup }) {
  const linkSearch = useLinkSearch()
  const { nowMs } = useRange()
  const message = group.message && group.message !== group.title ? group.message : undefined
  return (
    <tr>
      <td>
        <div className={css.title}>
          <Link to="/errors/$errorId" params={{ errorId: group.id }} search={linkSearch() as never} title={group.title}>{group.title}</Link>
          {message && !group.title.includes(message) && <span className={css.message}>{message}</span>}
          <span className={css.where}>
            <StateChip group={group} />
            {group.service_name && <span>{group.service_name}</span>}
            {group.culprit && <span className="mono cut">{group.culprit}</span>}
          </span>
        </div>
      </td>
      <td className={css.spark}>{group.sparkline?.length ? <Sparkbars values={group.sparkline} label="Events over time" /> : null}</td>
      <td className="num" data-label="events">{formatCount(group.count)}</td>
      <td className="mono dim" style={{ whiteSpace: 'nowrap' }}>{versions(group)}</td>
      <td className="num dim" data-label="first">{formatAgo(group.first_seen_unix_ms, nowMs)}</td>
      <td className="num" data-label="last">{formatAgo(group.last_seen_unix_ms, nowMs)}</td>
    </tr>
  )
}

export function StateChip({ group, always }: { group: ErrorGroup; always?: boolean }) {
  if (group.regressed) return <span className="chip chip-bad">Regressed</span>
  if (group.state === 'resolved') return <span className="chip chip-ok">Resolved</span>
  if (group.state === 'ignored') return <span className="chip">Ignored</span>
  return always ? <span className="chip chip-warn">Open</span> : null
}

export function versions(group: ErrorGroup): string {
  const { first_version: first, last_version: last } = group
  if (!first && !last) return ''
  return first === last || !first || !last ? (last ?? first ?? '') : `${first} to ${last}`
}
