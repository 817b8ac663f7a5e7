// The URL is the state of a page. Every value is a plain string: no JSON, so that links stay readable and editable.

export const SEARCH_KEYS = [
  'from', 'to', 'env', 'refresh',
  'q', 'service', 'level', 'dir', 'row', 'wrap',
  'expr', 'tab',
  'name', 'min', 'max', 'status', 'limit', 'span', 'view',
  'state', 'sort', 'page', 'event',
] as const

export type SearchKey = (typeof SEARCH_KEYS)[number]
export type Search = Partial<Record<SearchKey, string>>

/** Keys that follow the reader from page to page. */
export const CONTEXT_KEYS = ['from', 'to', 'env', 'refresh'] as const satisfies readonly SearchKey[]

const VALUE_LENGTH_MAX = 8192

/** Known keys with short enough values; anything else in a link is ignored. */
export function pickSearch(raw: Record<string, unknown>): Search {
  const search: Search = {}
  for (const key of SEARCH_KEYS) {
    const value = raw[key]
    if (typeof value === 'string' && value !== '' && value.length <= VALUE_LENGTH_MAX) search[key] = value
  }
  return search
}

export function parseSearch(text: string): Search {
  return pickSearch(Object.fromEntries(new URLSearchParams(text)))
}

/** Keys in a fixed order, so that the same view always has the same link. */
export function stringifySearch(search: Record<string, unknown>): string {
  const params = new URLSearchParams()
  const known = pickSearch(search)
  for (const key of SEARCH_KEYS) {
    const value = known[key]
    if (value !== undefined) params.set(key, value)
  }
  const text = params.toString()
  return text === '' ? '' : `?${text}`
}

/** What a link to another page carries over. */
export function contextOf(search: Search): Search {
  const context: Search = {}
  for (const key of CONTEXT_KEYS) if (search[key] !== undefined) context[key] = search[key]
  return context
}

/** Applies a patch; undefined and empty remove a key. */
export function patchSearch(search: Search, patch: Search): Search {
  return pickSearch({ ...search, ...patch })
}

export function splitList(value: string | undefined): string[] {
  return value ? value.split(',').filter((part) => part !== '') : []
}

export function joinList(values: string[]): string | undefined {
  return values.length === 0 ? undefined : values.join(',')
}

export function toggleInList(value: string | undefined, item: string): string | undefined {
  const values = splitList(value)
  return joinList(values.includes(item) ? values.filter((v) => v !== item) : [...values, item])
}
