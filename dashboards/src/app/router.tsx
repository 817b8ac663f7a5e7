import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router'
import { parseSearch, pickSearch, stringifySearch } from '../lib/url'
import { NotFound, PageCrash, PageLoading } from '../ui/PageStates'
import { Shell } from './Shell'

const rootRoute = createRootRoute({
  component: Shell,
  validateSearch: (raw: Record<string, unknown>) => pickSearch(raw),
  notFoundComponent: NotFound,
})

const page = <P extends string>(path: P, load: () => Promise<Record<string, unknown>>, name: string) =>
  createRoute({ getParentRoute: () => rootRoute, path, component: lazyRouteComponent(load as never, name as never) })

const routeTree = rootRoute.addChildren([
  page('/', () => import('../pages/overview/Overview'), 'Overview'),
  page('/logs', () => import('../pages/logs/Logs'), 'Logs'),
  page('/metrics', () => import('../pages/metrics/Metrics'), 'Metrics'),
  page('/traces', () => import('../pages/traces/Traces'), 'Traces'),
  page('/traces/$traceId', () => import('../pages/traces/TraceDetail'), 'TraceDetail'),
  page('/errors', () => import('../pages/errors/Errors'), 'Errors'),
  page('/errors/$errorId', () => import('../pages/errors/ErrorDetail'), 'ErrorDetail'),
  page('/alerts', () => import('../pages/alerts/Alerts'), 'Alerts'),
])

export const router = createRouter({
  routeTree,
  parseSearch,
  stringifySearch,
  defaultPreload: 'intent',
  defaultPendingComponent: PageLoading,
  defaultErrorComponent: PageCrash,
  scrollRestoration: false,
})
