import { basename, dirname } from 'node:path/posix'
import { pipeline, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { extract, type Header, pack } from 'tar-stream'
import type { ContainerOptions, Engine } from './engine.ts'
import { carries, labelsOf, type Marks, mark } from './labels.ts'
import type { Estate } from './network.ts'
import { type Owner, ownerOf } from './user.ts'

/** Makes a volume with these marks exist; another of the same name is left alone. */
export async function ensureVolume({ engine }: Estate, name: string, marks: Marks, signal: AbortSignal): Promise<void> {
  const labels = await engine.volume(name, signal)
  if (labels === undefined) await engine.createVolume(name, labelsOf(marks), signal)
  else if (!carries(labels, marks))
    throw new Error(`volume ${name} exists and belongs to something else: remove it, or choose another name`)
}

export interface HandOver {
  /** Name of the container that is made for it, which never runs. */
  readonly name: string
  readonly image: string
  readonly user: string
  readonly volumes: readonly string[]
  /** Of the volumes' root folders, which keep theirs where it is absent. */
  readonly mode?: number
}

/**
 * Gives volumes whose root folder belongs to root, as a new one's does, to the user of the containers that mount them.
 * The engine does it through a container that is never started, so that no image needs a program for it.
 */
export async function handOver(estate: Estate, { volumes, user, mode, ...as }: HandOver, signal: AbortSignal) {
  if (volumes.length === 0) return
  const { engine, instance } = estate
  const Mounts = volumes.map(mountForHandOver)
  const marks = { Image: as.image, Labels: labelsOf({ instance }), Entrypoint: ['-'], Cmd: ['-'] }
  const id = await createAfresh(estate, as.name, { ...marks, HostConfig: { NetworkMode: 'none', Mounts } }, signal)
  try {
    const owner = await readOwner(engine, id, user, signal)
    for (const { Target } of Mounts) await give(engine, { id, target: Target, owner, mode }, signal)
  } finally {
    await engine.removeContainer(id, 'even running', signal)
  }
}

function mountForHandOver(volume: string, at: number) {
  return { Type: 'volume', Source: volume, Target: `/gateway/${at}`, ReadOnly: false } as const
}

/** A container of that name from an interrupted hand-over is in the way at most once. */
export async function createAfresh(estate: Estate, name: string, options: ContainerOptions, signal: AbortSignal) {
  const { engine, instance } = estate
  const made = await engine.createContainer(name, options, signal)
  if (made !== 'taken') return made.id
  const old = await engine.container(name, signal)
  if (old && mark(old.Config.Labels, 'instance') !== instance)
    throw new Error(`container ${name} exists and is not ours: remove it`)
  if (old) await engine.removeContainer(old.Id, 'even running', signal)
  const again = await engine.createContainer(name, options, signal)
  if (again === 'taken') throw new Error(`container ${name} was made by another at the same time`)
  return again.id
}

interface Gift {
  readonly id: string
  readonly target: string
  readonly owner: Owner
  readonly mode: number | undefined
}

async function give(engine: Engine, { id, target, owner, mode }: Gift, signal: AbortSignal): Promise<void> {
  const root = await firstHeader(await engine.download(id, target, signal))
  if (root === undefined || root.uid !== 0 || owner.uid === 0) return
  const tar = pack()
  tar.entry({ name: basename(target), type: 'directory', ...owner, mode: mode ?? root.mode })
  tar.finalize()
  await engine.upload(id, dirname(target), Readable.from(tar, { objectMode: false }), signal)
}

async function readOwner(engine: Engine, id: string, user: string, signal: AbortSignal): Promise<Owner> {
  const read = async (path: string) => firstText(await engine.download(id, path, signal))
  return ownerOf(user, await read('/etc/passwd'), await read('/etc/group'))
}

/** Of the first entry; undefined where there is no tar. */
export async function firstHeader(tar: NodeJS.ReadableStream | undefined): Promise<Header | undefined> {
  if (tar === undefined) return undefined
  for await (const entry of entriesOf(tar)) return entry.header
}

/** Content of the first file; a symlink, as some images have, reads as empty. */
async function firstText(tar: NodeJS.ReadableStream | undefined): Promise<string> {
  if (tar === undefined) return ''
  for await (const entry of entriesOf(tar)) return text(entry)
  return ''
}

/** Fails as the tar does, and lets go of it as soon as nobody reads on: what follows the first entry may be a whole volume. */
function entriesOf(tar: NodeJS.ReadableStream) {
  return pipeline(tar, extract(), () => {})
}
