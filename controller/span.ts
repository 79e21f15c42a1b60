const units = [
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
  [1, 'ms'],
] as const

/** A time in ms as a manifest writes it: `24h`, `1h30m`, `500ms`. */
export function span(ms: number): string {
  let left = Math.max(0, Math.round(ms))
  const parts = units.flatMap(([size, name]) => {
    const count = Math.floor(left / size)
    left -= count * size
    return count === 0 ? [] : [`${count}${name}`]
  })
  return parts.join('') || '0s'
}
