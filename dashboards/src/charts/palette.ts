// Colours for series and services: readable on both themes, told apart by hue first.
export const SERIES_COLORS = [
  '#2f9e8f', '#d9822b', '#5b7fd6', '#c4547d', '#8aa83a', '#8d6bc7', '#3aa0c9', '#c9a227', '#d1605e', '#6b8e7f',
] as const

export const seriesColor = (index: number): string => SERIES_COLORS[index % SERIES_COLORS.length] ?? SERIES_COLORS[0]

/** Colours by order of first sight, so that up to ten services of one trace never share one. */
export function colorMap(names: string[]): Map<string, string> {
  return new Map(names.map((name, i) => [name, seriesColor(i)]))
}
