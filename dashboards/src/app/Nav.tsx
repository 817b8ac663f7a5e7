import { Tooltip, useMantineColorScheme } from '@mantine/core'
import {
  IconAlertTriangle, IconBell, IconChartLine, IconDeviceDesktop, IconKeyboard, IconLayoutDashboard, IconListDetails,
  IconMoon, IconSun, IconTimeline,
} from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ApiError } from '../api/client'
import { getRules } from '../api/prometheus'
import { getStatus } from '../api/vervet'
import { useSettings } from './settings'
import { useLinkSearch } from './state'
import css from './Shell.module.css'

const PAGES = [
  { to: '/', label: 'Overview', icon: IconLayoutDashboard },
  { to: '/logs', label: 'Logs', icon: IconListDetails },
  { to: '/metrics', label: 'Metrics', icon: IconChartLine },
  { to: '/traces', label: 'Traces', icon: IconTimeline },
  { to: '/errors', label: 'Errors', icon: IconAlertTriangle },
  { to: '/alerts', label: 'Alerts', icon: IconBell },
] as const

export function Nav({ onHelp }: { onHelp: () => void }) {
  const linkSearch = useLinkSearch()
  const firing = useFiringCount()
  return (
    <nav className={css.nav} aria-label="Pages">
      <Link to="/" search={linkSearch() as never} className={css.brand}>
        <Logo />
        Vervet
      </Link>
      <ul className={css.links}>
        {PAGES.map(({ to, label, icon: Icon }) => (
          <li key={to}>
            <Link to={to} search={linkSearch() as never} className={css.link} activeOptions={{ exact: to === '/', includeSearch: false }}>
              <Icon size={17} stroke={1.7} aria-hidden />
              {label}
              {to === '/alerts' && firing > 0 && <span className={css.count} title={`${firing} firing`}>{firing}</span>}
            </Link>
          </li>
        ))}
      </ul>
      <div className={css.foot}>
        <CollectorStatus />
        <div className={css.tools}>
          <SchemeButton />
          <ZoneButton />
          <Tooltip label="Keyboard shortcuts">
            <button type="button" className="btn btn-ghost btn-icon" aria-label="Keyboard shortcuts" onClick={onHelp}>
              <IconKeyboard size={17} stroke={1.7} />
            </button>
          </Tooltip>
        </div>
      </div>
    </nav>
  )
}

function useFiringCount(): number {
  const query = useQuery({ queryKey: ['rules'], queryFn: ({ signal }) => getRules(signal), refetchInterval: 30_000, retry: false })
  return (query.data ?? [])
    .flatMap((group) => group.rules)
    .reduce((sum, rule) => sum + (rule.alerts ?? []).filter((alert) => alert.state === 'firing').length, 0)
}

function CollectorStatus() {
  const status = useQuery({ queryKey: ['status'], queryFn: ({ signal }) => getStatus(signal), refetchInterval: 15_000, retry: false })
  const color = status.isError ? 'bad' : status.isSuccess ? 'good' : 'dim'
  const answered = status.error instanceof ApiError && status.error.status > 0 ? status.error.status : undefined
  const text = status.isError ? (answered ? `Collector answers ${answered}` : 'Collector unreachable') : `Collector ${status.data?.version ?? '…'}`
  return (
    <div className={css.status} role="status">
      <span className={`dot ${color}`} aria-hidden />
      <span className="cut">{text}</span>
    </div>
  )
}

const SCHEMES = {
  auto: { next: 'light', label: 'Theme: as the system', icon: IconDeviceDesktop },
  light: { next: 'dark', label: 'Theme: light', icon: IconSun },
  dark: { next: 'auto', label: 'Theme: dark', icon: IconMoon },
} as const

export function SchemeButton() {
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const { next, label, icon: Icon } = SCHEMES[colorScheme]
  return (
    <Tooltip label={label}>
      <button type="button" className="btn btn-ghost btn-icon" aria-label={`${label}. Switch to ${next}.`} onClick={() => setColorScheme(next)}>
        <Icon size={17} stroke={1.7} />
      </button>
    </Tooltip>
  )
}

export function ZoneButton() {
  const { zone, setZone } = useSettings()
  const next = zone === 'utc' ? 'local' : 'utc'
  return (
    <Tooltip label={zone === 'utc' ? 'Times in UTC' : 'Times in local time'}>
      <button type="button" className="btn btn-ghost" aria-label={`Times in ${zone === 'utc' ? 'UTC' : 'local time'}. Switch to ${next}.`} onClick={() => setZone(next)}>
        {zone === 'utc' ? 'UTC' : 'Local'}
      </button>
    </Tooltip>
  )
}

function Logo() {
  return (
    <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden>
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <path d="M7 9.5 13.4 23a2.9 2.9 0 0 0 5.2 0L25 9.5" fill="none" stroke="var(--on-accent)" strokeWidth="3.4" strokeLinecap="round" strokeLinejoin="round" />
      <circle cx="16" cy="10" r="2.6" fill="#f3c04b" />
    </svg>
  )
}
