interface SparklineProps {
  values: (number | null)[]
  label: string
  width?: number
  height?: number
  color?: string
  /** Top of the scale; the largest value when left out. */
  max?: number
}

/** A small area chart without axes. Gaps stay gaps. */
export function Sparkline({ values, label, width = 120, height = 28, color = 'var(--accent)', max }: SparklineProps) {
  const known = values.filter((v): v is number => v !== null && Number.isFinite(v))
  const top = Math.max(max ?? 0, ...known, 1e-9)
  const stepX = values.length > 1 ? width / (values.length - 1) : width
  const y = (v: number) => height - 1.5 - (v / top) * (height - 4)
  const segments: string[][] = [[]]
  values.forEach((v, i) => {
    if (v === null || !Number.isFinite(v)) segments.push([])
    else segments.at(-1)?.push(`${(i * stepX).toFixed(1)},${y(v).toFixed(1)}`)
  })
  const drawn = segments.filter((s) => s.length > 0)
  return (
    <svg width="100%" height={height} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {drawn.map((points, i) => {
        const firstX = points[0]?.split(',')[0]
        const lastX = points.at(-1)?.split(',')[0]
        return (
          <g key={i}>
            <path d={`M${firstX},${height} L${points.join(' L')} L${lastX},${height} Z`} fill={color} opacity={0.13} />
            <polyline points={points.join(' ')} fill="none" stroke={color} strokeWidth={1.4} strokeLinejoin="round" vectorEffect="non-scaling-stroke" />
          </g>
        )
      })}
    </svg>
  )
}

/** Small bars, for counts of rare things. */
export function Sparkbars({ values, label, width = 120, height = 26, color = 'var(--level-error)' }: Omit<SparklineProps, 'max'>) {
  const counts = values.map((v) => v ?? 0)
  const top = Math.max(...counts, 1)
  const slot = width / Math.max(counts.length, 1)
  return (
    <svg width="100%" height={height} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
      {counts.map((v, i) => {
        const h = v === 0 ? 1 : Math.max(2, (v / top) * (height - 2))
        return <rect key={i} x={i * slot} y={height - h} width={Math.max(slot - 1, 0.8)} height={h} fill={v === 0 ? 'var(--border)' : color} />
      })}
    </svg>
  )
}
