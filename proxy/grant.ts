import { isCovered } from '#manifests/glob.ts'
import type { Grant } from '#manifests/table.ts'

export type Kind = keyof Grant
export const kinds: readonly Kind[] = ['tools', 'prompts', 'resources']

export function allows(grant: Grant, kind: Kind, name: string): boolean {
  return isCovered(name, grant[kind])
}

/** Whether a grant leaves nothing out, so that nothing needs to be looked at. */
export function isWhole(grant: Grant): boolean {
  return grant.tools.includes('*') && grant.prompts.includes('*') && grant.resources.includes('*')
}
