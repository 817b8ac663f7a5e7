// Points of a line: [milliseconds, value].

/** A NaN between points further apart than a step, so that the line breaks there. */
export function withGaps(points: [number, number][], stepMs: number): [number, number][] {
  const out: [number, number][] = []
  for (const point of points) {
    const previous = out.at(-1)
    if (previous && point[0] - previous[0] > stepMs * 1.5) out.push([previous[0] + stepMs, NaN])
    out.push(point)
  }
  return out
}
