/** What one bench has to say. */
export interface Figures {
  readonly tables: readonly Table[]
  readonly plots?: readonly Plot[]
  /** What `--check` holds against the baseline; smaller is better. Ratios within one run, so that they mean the same on every machine. */
  readonly ratios?: Readonly<Record<string, number>>
}

export interface Table {
  readonly title: string
  /** How it was measured, in a sentence. */
  readonly about: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | number)[])[]
}

export interface Plot {
  /** Name of its file, without an ending. */
  readonly name: string
  readonly title: string
  /** What the bars are, on the y axis. */
  readonly unit: string
  readonly labels: readonly string[]
  readonly series: readonly { readonly name: string; readonly values: readonly (number | undefined)[] }[]
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** The value below which a share of them lies. */
export function percentile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN
}

export async function timed<T>(work: () => T | Promise<T>): Promise<readonly [T, number]> {
  const began = performance.now()
  const result = await work()
  return [result, performance.now() - began]
}
