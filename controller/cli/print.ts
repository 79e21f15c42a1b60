/** Writes lines for people; what others wrote cannot steer the terminal. */
export function print(text: string, end = '\n'): void {
  process.stdout.write(`${inert(text)}${end}`)
}

/** The same of what went wrong, a line each, beside what a program may read. */
export function complain(...lines: readonly string[]): void {
  for (const line of lines) process.stderr.write(`${inert(line)}\n`)
}

function inert(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it takes out
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '')
}

/** `--json`: one document a line. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** Rows as columns, each as wide as its widest cell; the last is as it is. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length)
  const pad = (cell: string, column: number) => cell.padEnd(widths[column] ?? 0)
  return rows.map((row) => row.map(pad).join('  ').trimEnd()).join('\n')
}
