import { useQuery } from '@tanstack/react-query'
import { getLogLabelValues } from '../api/loki'
import { useRange } from './state'

const ORDER = ['production', 'staging', 'development']

export type EnvironmentKind = 'production' | 'staging' | 'development' | 'other'

export function environmentKind(name: string | undefined): EnvironmentKind {
  const text = (name ?? '').toLowerCase()
  if (/^(prod|production|live)\b/.test(text)) return 'production'
  if (/^(stag|staging|preprod|uat)/.test(text)) return 'staging'
  if (/^(dev|development|local|test)/.test(text)) return 'development'
  return 'other'
}

export const isProduction = (name: string | undefined) => environmentKind(name) === 'production'

export const ENVIRONMENT_COLOR: Record<EnvironmentKind, string> = {
  production: 'var(--prod)',
  staging: 'var(--warn)',
  development: 'var(--ok)',
  other: 'var(--accent)',
}

/** Names seen in the logs of the range, the well-known ones first. */
export function useEnvironments(): string[] {
  const { startMs, endMs } = useRange()
  const query = useQuery({
    queryKey: ['environments', Math.floor(startMs / 300_000), Math.floor(endMs / 300_000)],
    queryFn: ({ signal }) => getLogLabelValues('deployment_environment_name', startMs, endMs, signal),
    staleTime: 300_000,
    retry: false,
    placeholderData: (previous) => previous,
  })
  return [...(query.data ?? [])].sort((a, b) => rank(a) - rank(b) || a.localeCompare(b))
}

function rank(name: string): number {
  const at = ORDER.indexOf(environmentKind(name))
  return at < 0 ? ORDER.length : at
}
