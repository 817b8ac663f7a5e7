// Names of time series, as PromQL writes them.

export function seriesName(labels: Record<string, string>, skip: ReadonlySet<string> = new Set()): string {
  const { __name__: name = '', ...rest } = labels
  const pairs = Object.entries(rest).filter(([key]) => !skip.has(key)).sort(([a], [b]) => a.localeCompare(b))
  if (pairs.length === 0) return name || '{}'
  return `${name}{${pairs.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(', ')}}`
}

/** Labels that all series share with the same value: noise in a legend, said once above it. */
export function commonLabels(all: Record<string, string>[]): Record<string, string> {
  const [first, ...rest] = all
  if (!first || rest.length === 0) return {}
  return Object.fromEntries(Object.entries(first).filter(([key, value]) => rest.every((labels) => labels[key] === value)))
}
