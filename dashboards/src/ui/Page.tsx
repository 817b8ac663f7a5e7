import { useEffect, type ReactNode } from 'react'
import { EnvSwitcher } from '../app/EnvSwitcher'
import { RefreshButton, TimePicker } from '../app/TimePicker'
import { SchemeButton } from '../app/Nav'
import css from '../app/Shell.module.css'

interface PageProps {
  title: string
  /** A link back, drawn before the title. */
  parent?: ReactNode
  /** True: the page manages its own scrolling and padding. */
  flush?: boolean
  children: ReactNode
}

export function Page({ title, parent, flush, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Vervet`
  }, [title])
  return (
    <>
      <header className={css.header}>
        <div className={css.crumbs}>
          {parent}
          <h1 className={`${css.title} cut`}>{title}</h1>
        </div>
        <div className={css.controls}>
          <EnvSwitcher />
          <TimePicker />
          <RefreshButton />
          <span className="only-narrow row" style={{ marginLeft: 'auto', gap: 0 }}><SchemeButton /></span>
        </div>
      </header>
      {flush ? <div className={css.bodyFlush}>{children}</div> : <div className={css.body} tabIndex={0} role="region" aria-label={title}>{children}</div>}
    </>
  )
}
