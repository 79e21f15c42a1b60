/** Writes lines for people; what others wrote cannot steer the terminal. */
export function print(text: string, end = '\n'): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it takes out
  process.stdout.write(`${text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, '')}${end}`)
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
