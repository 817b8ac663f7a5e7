import { IconListDetails, IconTimeline } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import type { Alert } from '../../api/prometheus'
import { useZone } from '../../app/settings'
import { useLinkSearch, useRange } from '../../app/state'
import { formatAgo, formatDuration, formatInstantFull, formatNumber } from '../../lib/format'
import type { AlertState, RuleView } from './Alerts'
import css from './alerts.module.css'

const CHIP: Record<AlertState, string> = { firing: 'chip chip-bad', pending: 'chip chip-warn', inactive: 'chip' }
const ALERTS_SHOWN = 20

export function RuleRow({ view: { rule, state, alerts } }: { view: RuleView }) {
  const linkSearch = useLinkSearch()
  const { nowMs } = useRange()
  const summary = alerts[0]?.annotations?.summary ?? rule.annotations?.summary ?? rule.annotations?.description
  return (
    <article className={css.rule} data-state={state}>
      <div><span className={CHIP[state]}><span className="dot" aria-hidden />{state}{alerts.length > 1 ? ` ${alerts.length}` : ''}</span></div>
      <div>
        <span className={css.name}>{rule.name}</span>{' '}
        {rule.labels?.severity && <span className="chip">{rule.labels.severity}</span>}
        {summary && <p className={css.summary}>{summary}</p>}
        {rule.lastError && <p className="bad">{rule.lastError}</p>}
        <Link className={css.expr} to="/metrics" search={linkSearch({ expr: rule.query }) as never} title="Open in Metrics">{rule.query}</Link>
      </div>
      <div className={css.when}>
        {rule.duration ? <div>for {formatDuration(rule.duration * 1000)}</div> : null}
        {rule.lastEvaluation && <div>checked {formatAgo(Date.parse(rule.lastEvaluation), nowMs)}</div>}
      </div>
      {alerts.length > 0 && (
        <div className={css.instances}>
          {alerts.slice(0, ALERTS_SHOWN).map((alert, i) => <Instance key={i} alert={alert} name={rule.name} />)}
          {alerts.length > ALERTS_SHOWN && <p className="dim">and {alerts.length - ALERTS_SHOWN} more</p>}
        </div>
      )}
    </article>
  )
}

function Instance({ alert, name }: { alert: Alert; name: string }) {
  const zone = useZone()
  const { nowMs } = useRange()
  const linkSearch = useLinkSearch()
  const since = alert.activeAt ? Date.parse(alert.activeAt) : undefined
  const service = alert.labels['service_name'] ?? alert.labels['service']
  const notes = Object.entries(alert.annotations ?? {}).filter(([key]) => key !== 'summary')
  const value = alert.value === undefined || alert.value === '' ? undefined : Number(alert.value)
  return (
    <div className={css.instance}>
      <div className={css.instanceHead}>
        <strong className={alert.state === 'firing' ? 'bad' : undefined}>{alert.state}</strong>
        {since && <span title={formatInstantFull(since, zone)}>since {formatAgo(since, nowMs)}</span>}
        {value !== undefined && <span>value <strong>{formatNumber(value)}</strong></span>}
        {service && (
          <span className="row" style={{ gap: 10, marginLeft: 'auto' }}>
            <Link className="row" style={{ gap: 4 }} to="/logs" search={linkSearch({ service }) as never}><IconListDetails size={14} aria-hidden />Logs</Link>
            <Link className="row" style={{ gap: 4 }} to="/traces" search={linkSearch({ service }) as never}><IconTimeline size={14} aria-hidden />Traces</Link>
          </span>
        )}
      </div>
      <div className={css.labels}>
        {Object.entries(alert.labels).filter(([key, v]) => !(key === 'alertname' && v === name)).map(([key, v]) => <span key={key}>{key}={v}</span>)}
      </div>
      {notes.map(([key, text]) => (
        <p key={key} className={css.note}>{/^https?:\/\//.test(text) ? <a href={text} rel="noreferrer noopener" target="_blank">{key.replace(/_/g, ' ')}</a> : text}</p>
      ))}
    </div>
  )
}
