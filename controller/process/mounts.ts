import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Generation } from '../host.ts'

/** Where a mount's target really is. */
export interface Place {
  readonly target: string
  readonly real: string
}

/**
 * Makes the volumes of a generation and finds its folders; `volumes` is the folder of all volumes, `prefix` what tells
 * those of one server. Throws for a folder that the machine lacks.
 */
export async function findPlaces(
  mounts: Generation['mounts'],
  { volumes, prefix }: { readonly volumes: string; readonly prefix: string },
): Promise<readonly Place[]> {
  return await Promise.all(
    mounts.map(async ({ kind, source, target }) => {
      const real = kind === 'volume' ? join(volumes, `${prefix}-${source}`) : source
      if (kind === 'volume') await mkdir(real, { recursive: true, mode: 0o700 })
      else await demandFolder(real, target)
      return { target, real }
    }),
  )
}

async function demandFolder(path: string, target: string): Promise<void> {
  const found = await stat(path).catch((cause) => {
    throw new Error(`cannot mount ${path} at ${target}: this machine has no such folder`, { cause })
  })
  if (!found.isDirectory()) throw new Error(`cannot mount ${path} at ${target}: it is not a folder`)
}

/** The environment with the real path in each value that is a target or lies under one. */
export function rewritePaths(env: Generation['env'], places: readonly Place[]): Readonly<Record<string, string>> {
  const deepestFirst = places.toSorted((a, b) => b.target.length - a.target.length)
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => {
      const place = deepestFirst.find(({ target }) => value === target || value.startsWith(`${target}/`))
      return [name, place === undefined ? value : place.real + value.slice(place.target.length)]
    }),
  )
}
