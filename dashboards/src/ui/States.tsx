import { IconAlertOctagon, IconRefresh } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { ApiError } from '../api/client'
import css from './States.module.css'

export function Empty({ title, hint, icon }: { title: string; hint?: ReactNode; icon?: ReactNode }) {
  return (
    <div className={css.empty}>
      {icon && <div className={css.icon} aria-hidden>{icon}</div>}
      <p className={css.title}>{title}</p>
      {hint && <div className={css.hint}>{hint}</div>}
    </div>
  )
}

/** What failed, in the server's own words, and a way to try again. */
export function Failure({ error, onRetry, what }: { error: unknown; onRetry?: () => void; what: string }) {
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof ApiError && error.status > 0 ? `${error.status} ${error.code === String(error.status) ? '' : error.code}`.trim() : undefined
  return (
    <div className={css.failure} role="alert">
      <IconAlertOctagon size={18} stroke={1.7} aria-hidden />
      <div className="grow">
        <p className={css.title}>Could not {what}{code && <span className={css.code}>{code}</span>}</p>
        <p className={css.message}>{message}</p>
      </div>
      {onRetry && (
        <button type="button" className="btn" onClick={onRetry}><IconRefresh size={14} aria-hidden />Retry</button>
      )}
    </div>
  )
}

export function SkeletonRows({ rows = 6, height = 14 }: { rows?: number; height?: number }) {
  return (
    <div className={css.skeletons} role="status" aria-label="Loading">
      {Array.from({ length: rows }, (_, i) => (
        <div key={i} className={css.skeleton} style={{ height, width: `${[92, 78, 86, 64, 90, 72][i % 6]}%` }} />
      ))}
    </div>
  )
}

export function SkeletonBlock({ height }: { height: number }) {
  return <div className={css.skeleton} style={{ height }} role="status" aria-label="Loading" />
}
