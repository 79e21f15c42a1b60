import type { Wall } from '../zone.ts'

/** Languages whose names of months are read, as an account may be kept in any of them. */
const languages = ['en', 'de', 'fr', 'es', 'it', 'nl', 'pt', 'sv', 'da', 'nb', 'fi', 'pl', 'cs', 'hu', 'ro', 'tr']

const months: ReadonlyMap<string, number> = new Map(
  languages.flatMap((language) =>
    (['long', 'short'] as const).flatMap((month) => {
      const format = new Intl.DateTimeFormat(language, { month, day: 'numeric', timeZone: 'UTC' })
      return Array.from({ length: 12 }, (_, index) => {
        const parts = format.formatToParts(Date.UTC(2001, index, 1))
        return [plain(parts.find(({ type }) => type === 'month')?.value ?? ''), index + 1] as const
      })
    }),
  ),
)

function plain(word: string): string {
  return word
    .normalize('NFKD')
    .replace(/[\p{M}.]/gu, '')
    .toLowerCase()
}

/**
 * A date, and where there is one a time of day, as exports write them: `2024-01-15 06:30:00`, `2024/01/15`,
 * `15.01.2024, 06:30`, `15/01/2024`, `Jan 15, 2024, 6:30:00 AM`, `15 janv. 2024, 06:30:00`. Whether there is such a day
 * is not looked at.
 */
export function readMoment(text: string | undefined): Wall | undefined {
  const [written = '', clock] = splitTime((text ?? '').trim())
  const date = readDate(written)
  if (date === undefined || clock === undefined) return date
  return { ...date, ...clock }
}

function splitTime(text: string): readonly [string, Pick<Wall, 'hour' | 'minute' | 'second'>?] {
  const found = /^(.*?\d)[\s,T]+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?\s*([ap])?\.?\s*(?:m\.?)?$/iu.exec(text)
  if (found === null) return [text]
  const [, date = '', hours, minute, second, half] = found
  const hour = half === undefined ? Number(hours) : (Number(hours) % 12) + (half.toLowerCase() === 'p' ? 12 : 0)
  return [date, { hour, minute: Number(minute), second: Number(second ?? 0) }]
}

function readDate(text: string): Wall | undefined {
  const [, year, month, day] = /^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})$/.exec(text) ?? []
  if (year !== undefined) return { year: Number(year), month: Number(month), day: Number(day) }
  const [, one, other, last] = /^(\d{1,2})[-/.]\s?(\d{1,2})[-/.]\s?(\d{4})$/.exec(text) ?? []
  if (one === undefined) return readWords(text)
  const [first, second] = [Number(one), Number(other)]
  // The day stands first nearly everywhere; where it cannot, it is an American's.
  return second > 12
    ? { year: Number(last), month: first, day: second }
    : { year: Number(last), month: second, day: first }
}

function readWords(text: string): Wall | undefined {
  const words = text.match(/[\p{L}\p{M}]+|\d+/gu) ?? []
  const month = words.map((word) => months.get(plain(word))).find((found) => found !== undefined)
  const year = words.find((word) => /^\d{4}$/.test(word))
  const day = words.find((word) => /^\d{1,2}$/.test(word))
  if (month === undefined || year === undefined || day === undefined) return undefined
  return { year: Number(year), month, day: Number(day) }
}
