import { Outlet } from '@tanstack/react-router'
import { useState } from 'react'
import { HelpDialog } from './HelpDialog'
import { Nav } from './Nav'
import { RangeProvider, useUrlState } from './state'
import { useShortcuts } from './shortcuts'
import { isProduction } from './environments'
import css from './Shell.module.css'

export function Shell() {
  return (
    <RangeProvider>
      <Frame />
    </RangeProvider>
  )
}

function Frame() {
  const [help, setHelp] = useState(false)
  const [search] = useUrlState()
  useShortcuts(() => setHelp((open) => !open))
  return (
    <div className={css.shell} data-production={isProduction(search.env) || undefined}>
      <a className={css.skip} href="#main">Skip to content</a>
      <Nav onHelp={() => setHelp(true)} />
      <main className={css.main} id="main" tabIndex={-1}>
        <Outlet />
      </main>
      <HelpDialog opened={help} onClose={() => setHelp(false)} />
    </div>
  )
}
