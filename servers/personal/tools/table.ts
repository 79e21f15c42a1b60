const longestCell = 300

/** A Markdown table; what is in a cell stays in it. */
export function markdownTable(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cellOf).join(' | ')} |`
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n')
}

function cellOf(text: string): string {
  const flat = flatten(text).replaceAll('|', '\\|')
  return flat.length > longestCell ? `${flat.slice(0, longestCell)}…` : flat
}

/** One line, without signs that nobody sees. */
export function flatten(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim()
}

/** With so many decimals, and none where the value is not known. */
export function fixed(value: number | null, digits = 0): string {
  return value === null ? '' : value.toFixed(digits)
}

/** `1:02:03` or `2:03` of seconds. */
export function clock(seconds: number | null): string {
  if (seconds === null) return ''
  const whole = Math.round(seconds)
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const two = (part: number) => String(part).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
}

/** `12.5 h` of seconds. */
export function hours(seconds: number | null): string {
  return seconds === null ? '' : `${(seconds / 3600).toFixed(1)} h`
}
