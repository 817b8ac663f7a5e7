// From a flat list of spans to the rows of a waterfall. Spans may arrive in any order, with missing parents, with
// duplicate ids or in a cycle; every span is drawn exactly once.

export interface SpanEvent {
  name: string
  timeMs: number
  attributes: [string, string][]
}

export interface Span {
  traceId: string
  spanId: string
  parentSpanId: string
  name: string
  service: string
  kind: string
  startMs: number
  endMs: number
  error: boolean
  statusMessage: string
  attributes: [string, string][]
  resource: [string, string][]
  scope: string
  events: SpanEvent[]
}

export interface SpanNode {
  span: Span
  children: SpanNode[]
  depth: number
  /** True when the span names a parent that is not in the trace. */
  orphan: boolean
  descendants: number
  errorBelow: boolean
  /** On the chain of spans that decided how long the trace took. */
  critical: boolean
}

export interface TraceTree {
  roots: SpanNode[]
  byId: Map<string, SpanNode>
  startMs: number
  endMs: number
  spans: number
  errors: number
  services: { name: string; spans: number }[]
}

const byStart = (a: SpanNode, b: SpanNode) => a.span.startMs - b.span.startMs || b.span.endMs - a.span.endMs

export function buildTree(spans: Span[]): TraceTree {
  const byId = new Map<string, SpanNode>()
  for (const span of spans) {
    if (byId.has(span.spanId)) continue
    byId.set(span.spanId, { span, children: [], depth: 0, orphan: false, descendants: 0, errorBelow: false, critical: false })
  }
  const cuts = cycleCuts(byId)
  const roots: SpanNode[] = []
  for (const node of byId.values()) {
    const parent = byId.get(node.span.parentSpanId)
    if (parent && !cuts.has(node)) parent.children.push(node)
    else {
      node.orphan = node.span.parentSpanId !== ''
      roots.push(node)
    }
  }
  roots.sort(byStart)
  for (const root of roots) finish(root)
  const main = roots.find((r) => !r.orphan) ?? roots[0]
  if (main) markCritical(main)

  const counts = new Map<string, number>()
  let startMs = Infinity
  let endMs = -Infinity
  let errors = 0
  for (const { span } of byId.values()) {
    counts.set(span.service, (counts.get(span.service) ?? 0) + 1)
    startMs = Math.min(startMs, span.startMs)
    endMs = Math.max(endMs, span.endMs)
    if (span.error) errors += 1
  }
  const services = [...counts].map(([name, n]) => ({ name, spans: n })).sort((a, b) => b.spans - a.spans)
  return { roots, byId, startMs: byId.size ? startMs : 0, endMs: byId.size ? endMs : 0, spans: byId.size, errors, services }
}

/** One span of every cycle of parents: cutting it there leaves a forest. Each span is walked over once. */
function cycleCuts(byId: Map<string, SpanNode>): Set<SpanNode> {
  const walkOf = new Map<SpanNode, number>()
  const cuts = new Set<SpanNode>()
  let walk = 0
  for (const start of byId.values()) {
    walk += 1
    let node: SpanNode | undefined = start
    while (node && !walkOf.has(node)) {
      walkOf.set(node, walk)
      node = byId.get(node.span.parentSpanId)
    }
    if (node && walkOf.get(node) === walk) cuts.add(node)
  }
  return cuts
}

/** Depth, order and subtree sums, without recursion: a trace may be thousands of spans deep. */
function finish(root: SpanNode): void {
  const order: SpanNode[] = []
  const stack = [root]
  for (let node = stack.pop(); node; node = stack.pop()) {
    order.push(node)
    node.children.sort(byStart)
    for (const child of node.children) {
      child.depth = node.depth + 1
      stack.push(child)
    }
  }
  for (const node of order.reverse()) {
    for (const child of node.children) {
      node.descendants += child.descendants + 1
      node.errorBelow ||= child.errorBelow || child.span.error
    }
  }
}

/** From the root, repeatedly the child that ended last before the point reached so far. */
function markCritical(root: SpanNode): void {
  const stack = [root]
  for (let node = stack.pop(); node; node = stack.pop()) {
    node.critical = true
    let until = node.span.endMs
    for (const child of [...node.children].sort((a, b) => b.span.endMs - a.span.endMs)) {
      if (child.span.startMs >= until || child.span.endMs > until + 0.001) continue
      stack.push(child)
      until = child.span.startMs
    }
  }
}

/** The rows to draw, in waterfall order, leaving out what is below a collapsed span. */
export function visibleRows(tree: TraceTree, collapsed: ReadonlySet<string>): SpanNode[] {
  const rows: SpanNode[] = []
  const stack = [...tree.roots].reverse()
  for (let node = stack.pop(); node; node = stack.pop()) {
    rows.push(node)
    if (collapsed.has(node.span.spanId)) continue
    for (let i = node.children.length - 1; i >= 0; i -= 1) stack.push(node.children[i] as SpanNode)
  }
  return rows
}

/** Time spent in a span and in none of its children, in milliseconds. */
export function selfTimeMs(node: SpanNode): number {
  const { startMs, endMs } = node.span
  let covered = 0
  let reached = startMs
  for (const { span } of node.children) {
    const from = Math.max(span.startMs, reached)
    const to = Math.min(span.endMs, endMs)
    if (to > from) {
      covered += to - from
      reached = to
    }
  }
  return Math.max(0, endMs - startMs - covered)
}
