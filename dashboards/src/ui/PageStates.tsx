import { Link, type ErrorComponentProps } from '@tanstack/react-router'
import { Page } from './Page'
import { Empty, Failure, SkeletonRows } from './States'

export function NotFound() {
  return (
    <Page title="Not found">
      <Empty title="There is no page at this address" hint={<>Go to the <Link to="/">overview</Link>, or press <kbd>?</kbd> for shortcuts.</>} />
    </Page>
  )
}

export function PageCrash({ error, reset }: ErrorComponentProps) {
  return (
    <Page title="This page failed">
      <Failure error={error} onRetry={() => { reset(); location.reload() }} what="draw this page" />
    </Page>
  )
}

export function PageLoading() {
  return <div style={{ padding: 24 }}><SkeletonRows rows={8} /></div>
}
