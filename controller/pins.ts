import type { Pins } from '#manifests/table.ts'
import type { Server } from './desired.ts'

/** What the table says of a server's reviewed tools. A definition is long, and goes along only where it is to be listed. */
export function pinsOf({ lock }: Pick<Server, 'lock'>): { readonly pins?: Pins } {
  if (lock === undefined) return {}
  const { mode, tools } = lock
  const pinned = tools.map(({ name, hash, text, allow }) => ({
    name,
    hash,
    ...(mode === 'hold' ? { definition: text } : {}),
    ...(allow === undefined ? {} : { allow: [...allow] }),
  }))
  return { pins: { mode, tools: pinned } }
}

/** What of the pins a commit changes, as people call it. */
export function pinChanges(now: Pins | undefined, server: Pick<Server, 'lock'>): readonly string[] {
  const { pins: next } = pinsOf(server)
  const locked = (pins: Pins | undefined) => JSON.stringify((pins?.tools ?? []).map(({ name, hash }) => [name, hash]))
  const isLockNew = locked(now) !== locked(next)
  return [
    ...((now?.mode ?? 'warn') === (next?.mode ?? 'warn') ? [] : ['tools']),
    ...(isLockNew ? ['tools.lock.yaml'] : []),
  ]
}
