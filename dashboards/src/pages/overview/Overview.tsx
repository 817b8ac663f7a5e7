import { useQuery } from '@tanstack/react-query'
import { getServices } from '../../api/vervet'
import { useRange, useUrlState } from '../../app/state'
import { Page } from '../../ui/Page'
import { Failure, SkeletonRows } from '../../ui/States'
import { ServiceTable } from './ServiceTable'
import { SummaryCards } from './SummaryCards'
import css from './overview.module.css'

export function Overview() {
  const { startMs, endMs } = useRange()
  const [search] = useUrlState()
  const services = useQuery({
    queryKey: ['services', startMs, endMs],
    queryFn: ({ signal }) => getServices(startMs, endMs, signal),
    placeholderData: (previous) => previous,
  })
  const rows = (services.data ?? []).filter((row) => !search.env || row.environment === search.env)
  return (
    <Page title="Overview">
      <div className={css.stack}>
        <SummaryCards />
        {services.isError && !services.data ? <Failure error={services.error} what="load the services" onRetry={() => void services.refetch()} />
          : services.isPending ? <div className="card"><SkeletonRows rows={7} height={18} /></div>
            : <ServiceTable rows={rows} />}
      </div>
    </Page>
  )
}
