// The URL as state: one hook to read and patch it, and the clock that turns "now-1h" into instants.
import { useLocation, useNavigate, useSearch } from '@tanstack/react-router'
import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from 'react'
import { DEFAULT_FROM, DEFAULT_TO, isRelative, resolveRange, type ResolvedRange } from '../lib/time'
import { contextOf, patchSearch, type Search } from '../lib/url'

export function useUrlState(): [Search, (patch: Search, replace?: boolean) => void] {
  const search = useSearch({ strict: false }) as Search
  const navigate = useNavigate()
  const patch = useCallback(
    (changes: Search, replace = false) => {
      void navigate({ to: '.', search: (previous: Search) => patchSearch(previous, changes), replace } as never)
    },
    [navigate],
  )
  return [search, patch]
}

/** `search` for a link to another page: the time range and the environment come along, plus `extra`. */
export function useLinkSearch(): (extra?: Search) => Search {
  const search = useSearch({ strict: false }) as Search
  return useCallback((extra: Search = {}) => ({ ...contextOf(search), ...extra }), [search])
}

interface RangeState extends ResolvedRange {
  from: string
  to: string
  nowMs: number
  relative: boolean
  refresh: () => void
  setRange: (from: string, to: string) => void
  zoomTo: (startMs: number, endMs: number) => void
}

const RangeContext = createContext<RangeState | undefined>(undefined)

const REFRESH_MS: Record<string, number> = { '5s': 5000, '15s': 15_000, '30s': 30_000, '1m': 60_000, '5m': 300_000 }
export const REFRESH_CHOICES = Object.keys(REFRESH_MS)

export function RangeProvider({ children }: { children: ReactNode }) {
  const [search, patch] = useUrlState()
  const from = search.from ?? DEFAULT_FROM
  const to = search.to ?? DEFAULT_TO
  const [tick, setTick] = useState(0)
  const refresh = useCallback(() => setTick((n) => n + 1), [])
  const { pathname } = useLocation()
  // The present is read anew on a refresh, a new range and a new page, and holds still in between: every query of a
  // page then asks about the same instants.
  const nowMs = useMemo(() => Date.now(), [from, to, tick, pathname])
  const relative = isRelative(from) || isRelative(to)

  const every = REFRESH_MS[search.refresh ?? '']
  useEffect(() => {
    if (!every || !relative) return
    // A hidden tab asks for nothing; it catches up when it is shown again.
    const tick = () => document.visibilityState === 'visible' && refresh()
    const timer = setInterval(tick, every)
    return () => clearInterval(timer)
  }, [every, relative, refresh])

  const value = useMemo<RangeState>(() => {
    const setRange = (nextFrom: string, nextTo: string) =>
      patch({
        from: nextFrom === DEFAULT_FROM && nextTo === DEFAULT_TO ? undefined : nextFrom,
        to: nextTo === DEFAULT_TO ? undefined : nextTo,
        row: undefined,
      })
    const zoomTo = (startMs: number, endMs: number) =>
      setRange(new Date(Math.floor(startMs)).toISOString(), new Date(Math.ceil(endMs)).toISOString())
    return { ...resolveRange(from, to, nowMs), from, to, nowMs, relative, refresh, setRange, zoomTo }
  }, [from, to, nowMs, relative, refresh, patch])

  return <RangeContext value={value}>{children}</RangeContext>
}

export function useRange(): RangeState {
  const range = useContext(RangeContext)
  if (!range) throw new Error('useRange needs a RangeProvider above it')
  return range
}
