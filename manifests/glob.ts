/** Whether a name is what a pattern of a grant means: `*` is any run of characters. Quick whatever the pattern, as no regular expression is. */
export function matches(pattern: string, name: string): boolean {
  if (pattern === '*') return true
  const [first = '', ...others] = pattern.split('*')
  const last = others.pop()
  if (last === undefined) return name === pattern
  if (!name.startsWith(first)) return false
  let at = first.length
  for (const part of others) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at + last.length <= name.length && name.endsWith(last)
}

/** Whether a name, or a pattern, is within one of these patterns. */
export function isCovered(name: string, by: readonly string[]): boolean {
  return by.some((pattern) => matches(pattern, name))
}
