import fc from 'fast-check'

/** So many runs, ever new ones; a failure prints the seed, and `FUZZ_SEED` runs those of one again. */
export function runs(numRuns: number): fc.Parameters<unknown> {
  const seed = Number(process.env.FUZZ_SEED)
  return { numRuns, ...(Number.isInteger(seed) && seed !== 0 ? { seed } : {}), endOnFailure: numRuns < 1_000 }
}

/** Letters that names, URIs and headers choke on, among ordinary ones. */
export const oddText = fc.string({
  unit: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...'abcXYZ019_-') },
    {
      weight: 2,
      arbitrary: fc.constantFrom('.', '/', ' ', '*', '__', '"', '\\', '\r\n', '\u0000', 'é', '漢', '\u200b', '😀'),
    },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
  ),
  minLength: 1,
  maxLength: 90,
})
