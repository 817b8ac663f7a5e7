// Builds LogQL from what a reader types and clicks. Values are always quoted and escaped; nothing typed into a facet
// can leave its string.

export const STREAM_LABELS = [
  'service_name',
  'deployment_environment_name',
  'host_name',
  'k8s_namespace_name',
  'k8s_pod_name',
  'k8s_container_name',
  'level',
] as const

export interface LogScope {
  env?: string | undefined
  services?: string[] | undefined
  levels?: string[] | undefined
}

export interface Matcher {
  label: string
  op: '=' | '!=' | '=~' | '!~'
  value: string
}

export function quote(value: string): string {
  return `"${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n').replace(/\r/g, '\\r').replace(/\t/g, '\\t')}"`
}

export function escapeRegex(value: string): string {
  return value.replace(/[\\^$.*+?()[\]{}|/-]/g, (c) => (c === '-' || c === '/' ? c : `\\${c}`))
}

function anyOf(label: string, values: string[]): Matcher | undefined {
  const [first, ...rest] = values
  if (first === undefined) return undefined
  return rest.length === 0
    ? { label, op: '=', value: first }
    : { label, op: '=~', value: values.map(escapeRegex).join('|') }
}

export function scopeMatchers(scope: LogScope): Matcher[] {
  return [
    scope.env ? ({ label: 'deployment_environment_name', op: '=', value: scope.env } as Matcher) : undefined,
    anyOf('service_name', scope.services ?? []),
    anyOf('level', scope.levels ?? []),
  ].filter((m): m is Matcher => m !== undefined)
}

export function formatMatchers(matchers: Matcher[]): string {
  return matchers.map((m) => `${m.label}${m.op}${quote(m.value)}`).join(', ')
}

/** Index of the brace that closes the selector opening at `open`, or -1. Knows quoted strings. */
export function closingBrace(text: string, open: number): number {
  let quoteChar = ''
  for (let i = open + 1; i < text.length; i += 1) {
    const c = text[i]
    if (quoteChar) {
      if (c === '\\' && quoteChar === '"') i += 1
      else if (c === quoteChar) quoteChar = ''
    } else if (c === '"' || c === '`') quoteChar = c
    else if (c === '}') return i
  }
  return -1
}

export type QueryKind = 'empty' | 'text' | 'pipeline' | 'selector' | 'metric'

/** What the reader typed: plain text, `| pipeline`, a `{selector}`, or a metric query over a selector. */
export function queryKind(input: string): QueryKind {
  const text = input.trim()
  if (text === '') return 'empty'
  if (text.startsWith('{')) return 'selector'
  if (/^(\|[=~>]?|![=~>])/.test(text)) return 'pipeline'
  if (/^[a-z_]+\s*(by|without)?\s*\(/.test(text) && text.includes('{')) return 'metric'
  return 'text'
}

function insertMatchers(query: string, matchers: Matcher[]): string {
  const open = query.indexOf('{')
  const close = open < 0 ? -1 : closingBrace(query, open)
  if (close < 0 || matchers.length === 0) return query
  const inside = query.slice(open + 1, close).trim().replace(/,$/, '')
  const joined = [inside, formatMatchers(matchers)].filter((part) => part !== '').join(', ')
  return `${query.slice(0, open)}{${joined}}${query.slice(close + 1)}`
}

/** The full LogQL for what is in the box plus the facets. A selector is never empty, as Loki requires. */
export function buildLogQL(input: string, scope: LogScope): string {
  const text = input.trim()
  const matchers = scopeMatchers(scope)
  const kind = queryKind(text)
  if (kind === 'selector' || kind === 'metric') return insertMatchers(text, matchers)
  const selector = `{${matchers.length === 0 ? 'service_name=~".+"' : formatMatchers(matchers)}}`
  if (kind === 'empty') return selector
  return kind === 'pipeline' ? `${selector} ${text}` : `${selector} |= ${quote(text)}`
}

/** Counts per level and service for the histogram and the facets. */
export function countQuery(logQuery: string, stepSeconds: number): string {
  return `sum by (level, service_name) (count_over_time(${logQuery} [${stepSeconds}s]))`
}

/** Adds "field is / is not value" to what is in the box: a stream label joins the selector, anything else the pipeline. */
export function addFilter(input: string, field: string, value: string, exclude = false): string {
  const text = input.trim()
  const kind = queryKind(text)
  const op = exclude ? '!=' : '='
  if ((STREAM_LABELS as readonly string[]).includes(field)) {
    if (kind === 'selector') return insertMatchers(text, [{ label: field, op, value }])
    const tail = kind === 'text' ? ` |= ${quote(text)}` : text === '' ? '' : ` ${text}`
    return `{${field}${op}${quote(value)}}${tail}`
  }
  const head = kind === 'text' ? `|= ${quote(text)}` : text
  return `${head}${head === '' ? '' : ' '}| ${field}${op}${quote(value)}`
}

/** The literal strings of `|=` filters, for highlighting hits in the lines. */
export function searchTerms(input: string): string[] {
  const kind = queryKind(input)
  if (kind === 'text') return [input.trim()]
  return [...input.matchAll(/\|=\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)/g)]
    .map((m) => m[2] ?? (m[1] ?? '').replace(/\\(.)/g, '$1'))
    .filter((term) => term !== '')
}
