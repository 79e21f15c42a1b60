import type { Grant } from '#manifests/table.ts'

export type Kind = keyof Grant
export const kinds: readonly Kind[] = ['tools', 'prompts', 'resources']

/** Whether a name matches a pattern in which `*` stands for any run of characters; linear in both, whatever the pattern. */
export function matches(pattern: string, name: string): boolean {
  let [p, n, star, retry] = [0, 0, -1, 0]
  while (n < name.length) {
    if (pattern[p] === '*') {
      star = p++
      retry = n
    } else if (pattern[p] === name[n]) {
      p++
      n++
    } else if (star >= 0) {
      p = star + 1
      n = ++retry
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

export function allows(grant: Grant, kind: Kind, name: string): boolean {
  return grant[kind].some((pattern) => matches(pattern, name))
}

/** Whether a grant leaves nothing out, so that nothing needs to be looked at. */
export function isWhole(grant: Grant): boolean {
  return grant.tools.includes('*') && grant.prompts.includes('*') && grant.resources.includes('*')
}
