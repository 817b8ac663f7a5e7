// Choices of this browser, not of a link: the zone of times, and whether lines wrap.
import { createContext, useCallback, useContext, useMemo, useState, type ReactNode } from 'react'
import type { Zone } from '../lib/format'

interface Settings {
  zone: Zone
  setZone: (zone: Zone) => void
}

const SettingsContext = createContext<Settings>({ zone: 'local', setZone: () => undefined })

function read(key: string): string | null {
  try {
    return localStorage.getItem(key)
  } catch {
    return null
  }
}

export function SettingsProvider({ children }: { children: ReactNode }) {
  const [zone, setState] = useState<Zone>(read('vervet.zone') === 'utc' ? 'utc' : 'local')
  const setZone = useCallback((next: Zone) => {
    setState(next)
    try {
      localStorage.setItem('vervet.zone', next)
    } catch {
      // Private windows may refuse; the choice then lasts as long as the page.
    }
  }, [])
  const value = useMemo(() => ({ zone, setZone }), [zone, setZone])
  return <SettingsContext value={value}>{children}</SettingsContext>
}

export const useSettings = () => useContext(SettingsContext)
export const useZone = () => useContext(SettingsContext).zone
