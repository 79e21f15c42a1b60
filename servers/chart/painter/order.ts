/** The times in their order, where all of them are numbers or dates that sort; else as they came. */
export function inOrder<Point extends { readonly time: string }>(points: readonly Point[]): readonly Point[] {
  const keyed = points.map((point) => ({ point, key: keyOf(point.time) }))
  if (keyed.some(({ key }) => Number.isNaN(key))) return points
  return keyed.toSorted((a, b) => a.key - b.key).map(({ point }) => point)
}

function keyOf(time: string): number {
  if (/^-?\d+(?:\.\d+)?$/.test(time)) return Number(time)
  return /^\d{4}[-/]\d{1,2}(?:[-/]\d{1,2}(?:[T ].*)?)?$/.test(time) ? Date.parse(time.replaceAll('/', '-')) : Number.NaN
}
