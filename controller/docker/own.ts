import { chmod, mkdir, readFile, realpath, stat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { ImageSource } from '../desired.ts'
import type { Engine, EngineMount } from './engine.ts'
import { mark } from './labels.ts'

/** The container that the controller runs in. */
export interface OwnContainer {
  readonly id: string
  /** Id of its image. */
  readonly image: string
  /** What that was built from, where we built it, and what registries call it. */
  readonly product: { readonly context?: string | undefined; readonly digests: readonly string[] }
  readonly mounts: readonly EngineMount[]
}

/** The id is in the path of a file that the engine mounts into every container; a host name need not be it. */
export async function readOwnContainer(engine: Engine, signal: AbortSignal): Promise<OwnContainer | undefined> {
  const mounted = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '')
  const id = /\/containers\/([0-9a-f]{64})\/hostname/.exec(mounted)?.[1]
  const found = id === undefined ? undefined : await engine.container(id, signal)
  if (found === undefined) return undefined
  const image = await engine.image(found.Image, signal)
  const product = { context: mark(image?.Config.Labels, 'context'), digests: image?.RepoDigests ?? [] }
  return { id: found.Id, image: found.Image, product, mounts: found.Mounts }
}

/** Whether the container runs from that very image. */
export function comesFrom({ product }: OwnContainer, image: ImageSource): boolean {
  if (image.kind === 'built') return product.context === image.input.hash
  const digest = image.ref.slice(image.ref.indexOf('@'))
  return product.digests.some((known) => known.endsWith(digest))
}

/** What a state folder is called by everything that outlives this process: its volume, or its path on the machine. */
export async function stateIdentity(own: OwnContainer | undefined, state: string): Promise<string> {
  if (own === undefined) return realpath(state)
  const mount = mountOver(own, state)
  if (mount === undefined)
    throw new Error(`GATEWAY_STATE: ${state} must be a mounted volume, or it ends with this container`)
  return mount.Name ?? join(mount.Source, relative(mount.Destination, state))
}

/** How another container mounts the folder that holds the table's socket. */
export function runMount(own: OwnContainer | undefined, state: string): { Type: 'bind' | 'volume'; Source: string } {
  const run = join(state, 'run')
  if (own === undefined) return { Type: 'bind', Source: run }
  const mount = mountOver(own, run)
  if (mount === undefined || (mount.Name !== undefined && mount.Destination !== run))
    throw new Error(`${run} must be a volume of its own: proxies mount it, and must not see the rest of ${state}`)
  if (mount.Name !== undefined) return { Type: 'volume', Source: mount.Name }
  return { Type: 'bind', Source: join(mount.Source, relative(mount.Destination, run)) }
}

/**
 * Opens that folder, where it is one of the machine, to proxies, which run as another user than the controller; gives what tells it
 * from one that was made in its place. The socket in it is for everybody who sees the folder.
 */
export async function openRun(type: 'bind' | 'volume', state: string): Promise<string | undefined> {
  if (type === 'volume') return undefined
  const run = join(state, 'run')
  await mkdir(run, { recursive: true })
  await chmod(run, 0o755)
  return String((await stat(run)).ino)
}

/** The mount that a path lies in: the innermost one. */
function mountOver(own: OwnContainer, path: string): EngineMount | undefined {
  const over = own.mounts.filter(({ Destination }) => path === Destination || path.startsWith(`${Destination}/`))
  return over.toSorted((a, b) => b.Destination.length - a.Destination.length)[0]
}
