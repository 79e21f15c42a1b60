/** A value on a day, `YYYY-MM-DD`. */
export interface Point {
  readonly day: string
  readonly value: number
}

export interface Trend {
  /** Change in seven days of the straight line that fits best (least squares); 0 for a single day. */
  readonly perWeek: number
  /** Exponential mean at the end: each day takes a tenth of what is new. */
  readonly smoothed: number
  readonly lowest: Point
  readonly highest: Point
}

const share = 0.1

/** The trend of points in order of their days, of which there is one at least. */
export function trendOf(first: Point, points: readonly Point[]): Trend {
  const days = points.map(({ day }) => dayNumber(day) - dayNumber(first.day))
  const values = points.map(({ value }) => value)
  const [meanDay, meanValue] = [mean(days), mean(values)]
  const spread = days.reduce((sum, day) => sum + (day - meanDay) ** 2, 0)
  const joint = days.reduce((sum, day, index) => sum + (day - meanDay) * ((values[index] ?? 0) - meanValue), 0)
  return {
    perWeek: spread === 0 ? 0 : (7 * joint) / spread,
    smoothed: smooth(first, points),
    lowest: points.reduce((low, point) => (point.value < low.value ? point : low), first),
    highest: points.reduce((high, point) => (point.value > high.value ? point : high), first),
  }
}

/** Days without a value count as if it had stayed the same. */
function smooth(first: Point, points: readonly Point[]): number {
  let [level, last] = [first.value, dayNumber(first.day)]
  for (const { day, value } of points) {
    const kept = (1 - share) ** Math.max(dayNumber(day) - last, 0)
    level = level * kept + value * (1 - kept)
    last = dayNumber(day)
  }
  return level
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

export function dayNumber(day: string): number {
  return Date.parse(`${day}T00:00:00Z`) / 86_400_000
}

export function dayOfNumber(number: number): string {
  return new Date(number * 86_400_000).toISOString().slice(0, 10)
}
