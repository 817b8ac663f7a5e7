// A panel beside the list on wide screens, over it on narrow ones. Esc closes it.
import { IconX } from '@tabler/icons-react'
import { useEffect, useRef, type ReactNode } from 'react'
import css from './SidePanel.module.css'

interface Props {
  title: string
  heading: ReactNode
  actions?: ReactNode
  onClose: () => void
  children: ReactNode
}

export function SidePanel({ title, heading, actions, onClose, children }: Props) {
  const ref = useRef<HTMLElement>(null)
  const close = useRef(onClose)
  close.current = onClose
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Escape' || event.defaultPrevented) return
      if (event.target instanceof HTMLElement && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return
      close.current()
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [])
  return (
    <aside ref={ref} className={css.panel} aria-label={title}>
      <div className={css.head}>
        <h2 className={css.heading}>{heading}</h2>
        {actions}
        <button type="button" className="btn btn-ghost btn-icon" aria-label="Close" onClick={onClose}><IconX size={16} /></button>
      </div>
      <div className={css.body} tabIndex={0} role="region" aria-label={`${title}, details`}>{children}</div>
    </aside>
  )
}

export function Section({ title, children, aside }: { title: string; children: ReactNode; aside?: ReactNode }) {
  return (
    <section className={css.section}>
      <div className={css.sectionHead}><h3>{title}</h3>{aside}</div>
      {children}
    </section>
  )
}
