/** What an error says, without what follows: Playwright's messages go on with the browser's whole log. */
export function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? ''
}
