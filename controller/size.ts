const units = [
  ['g', 2 ** 30],
  ['m', 2 ** 20],
  ['k', 2 ** 10],
] as const

/** Bytes as a manifest has them: `512m`. */
export function inUnits(bytes: number): string {
  const [unit, size] = units.find(([, one]) => bytes >= one && bytes % one === 0) ?? ['', 1]
  return `${bytes / size}${unit}`
}

/** Bytes as people read them: `1.2 GB`. */
export function inWords(bytes: number): string {
  const gigabytes = bytes / 2 ** 30
  return gigabytes >= 1 ? `${Number(gigabytes.toFixed(1))} GB` : `${Math.round(bytes / 2 ** 20)} MB`
}
