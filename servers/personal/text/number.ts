export type Decimal = '.' | ','

/** A number as an export writes it, with the sign that its decimals follow; undefined for an empty cell, `--` or words. */
export function readNumber(text: string | undefined, decimal: Decimal = '.'): number | undefined {
  const grouped = decimal === '.' ? /[,\s'’]/g : /[.\s'’]/g
  const plain = (text ?? '').trim().replace(grouped, '').replace(',', '.')
  return /^[-+]?\d+(\.\d+)?$/.test(plain) ? Number(plain) : undefined
}

/**
 * Which sign decimals follow, by a column of examples. A sign before exactly three digits may as well part thousands, so
 * it says nothing; `otherwise` where all are like that.
 */
export function decimalOf(cells: readonly string[], otherwise: Decimal = '.'): Decimal {
  for (const cell of cells) {
    const [, sign, digits = ''] = /([.,])(\d+)\D*$/.exec(cell) ?? []
    const both = cell.includes('.') && cell.includes(',')
    if ((sign === '.' || sign === ',') && (both || digits.length !== 3)) return sign
  }
  return otherwise
}

/** Seconds of `1:02:03`, `02:03` or `02:03.5`. */
export function readDuration(text: string | undefined): number | undefined {
  const [, hours, minutes, seconds] = /^(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)$/.exec((text ?? '').trim()) ?? []
  if (minutes === undefined || seconds === undefined) return undefined
  return Number(hours ?? 0) * 3600 + Number(minutes) * 60 + Number(seconds.replace(',', '.'))
}
