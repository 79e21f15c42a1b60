/** A name of compose's as one that servers and offered folders may have here; `` where nothing of it may stay. */
export function nameOf(given: string): string {
  return given
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, 20)
    .replace(/-+$/, '')
}
