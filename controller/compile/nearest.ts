/** The candidate that a typo was probably meant to be: a few edits away, or the beginning or the whole of it. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const written = word.toLowerCase().slice(0, 128)
  const all = [...candidates].slice(0, 1_000).map((candidate) => ({ candidate, known: candidate.toLowerCase() }))
  const limit = Math.min(3, Math.max(1, Math.floor(word.length / 3)))
  const near = all
    .filter(({ known }) => Math.abs(known.length - written.length) <= limit)
    .map(({ candidate, known }) => ({ candidate, far: farness(written, known) }))
    .filter(({ far }) => far <= limit)
    .sort((a, b) => a.far - b.far || (a.candidate < b.candidate ? -1 : 1))
  return (near[0] ?? all.find(({ known }) => isBeginning(written, known)))?.candidate
}

function isBeginning(a: string, b: string): boolean {
  return Math.min(a.length, b.length) >= 3 && (a.startsWith(b) || b.startsWith(a))
}

/** ` (did you mean "outline"?)`, or nothing. */
export function suggestion(word: string, candidates: Iterable<string>): string {
  const near = nearest(word, candidates)
  return near === undefined ? '' : ` (did you mean "${near}"?)`
}

/** Characters to add, drop, change or swap to make one word of the other. */
function farness(a: string, b: string): number {
  let before = Array.from({ length: b.length + 1 }, (_, i) => i)
  let swapped: readonly number[] = []
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      const swap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(swapped, j - 2) + 1 : Number.POSITIVE_INFINITY
      row.push(Math.min(at(before, j) + 1, at(row, j - 1) + 1, at(before, j - 1) + same, swap))
    }
    swapped = before
    before = row
  }
  return at(before, b.length)
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY
}
