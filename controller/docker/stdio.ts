import type { Generation } from '../host.ts'
import { wrapperArguments, wrapperEnvironment, wrapperFiles, wrapperHash, wrapperMain } from '../stdio.ts'
import type { ContainerOptions, Engine, EngineImage } from './engine.ts'
import { EngineRefusal } from './engine.ts'
import { labelsOf } from './labels.ts'
import type { Estate } from './network.ts'
import { packTar } from './tar.ts'
import { createAfresh, ensureVolume, firstHeader } from './volume.ts'

/** Where the product's image has Node and what that needs, and where a server's container finds it. */
const origin = '/opt/stdio'
const place = '/.gateway'
/** The engine copies in the order of names: where this one is, all are. */
const last = 'whole'

function wrapperVolume(instance: string, hash: string): string {
  return `${instance}-stdio-${hash.slice(0, 12)}`
}

/** Makes the volume that the wrapper is started from exist, filled from the product's image; its name. One call at a time. */
export async function ensureWrapper(estate: Estate, image: string, signal: AbortSignal): Promise<string> {
  const name = wrapperVolume(estate.instance, await wrapperHash())
  if ((await fill(estate, { name, image }, signal)) === 'filled') return name
  await estate.engine.removeVolume(name, signal) // a copy that was interrupted is never gone on with
  if ((await fill(estate, { name, image }, signal)) === 'filled') return name
  throw new Error(`the image ${image} is not the gateway's own: it has no ${origin}, so that no stdio server can run`)
}

interface Filling {
  readonly name: string
  readonly image: string
}

/** An empty volume gets what the image has there when a container with it is made, which never runs. */
async function fill(estate: Estate, { name, image }: Filling, signal: AbortSignal): Promise<'filled' | 'in part'> {
  const { engine, instance } = estate
  await ensureVolume(estate, name, { instance }, signal)
  const mount = { Type: 'volume', Source: name, Target: origin, ReadOnly: false } as const
  const marks = { Image: image, Labels: labelsOf({ instance }), Entrypoint: ['-'], Cmd: ['-'] }
  const options = { ...marks, HostConfig: { NetworkMode: 'none', Mounts: [mount] } }
  const id = await createAfresh(estate, `${instance}-stdio-owner`, options, signal)
  try {
    if (await has(engine, id, wrapperMain, signal)) return 'filled'
    if (!(await has(engine, id, last, signal))) return 'in part'
    await engine.upload(id, origin, packTar(entries()), signal)
    return 'filled'
  } finally {
    await engine.removeContainer(id, 'even running', signal)
  }
}

async function* entries() {
  for (const { path, body } of await wrapperFiles()) yield { path, body, mode: '100644' }
}

async function has(engine: Engine, id: string, file: string, signal: AbortSignal): Promise<boolean> {
  return (await firstHeader(await engine.download(id, `${origin}/${file}`, signal))) !== undefined
}

/** Removes wrappers of other versions that no container stands on. */
export async function collectWrappers({ engine, instance }: Estate, signal: AbortSignal): Promise<void> {
  const current = wrapperVolume(instance, await wrapperHash())
  for (const name of await wrapperVolumes({ engine, instance }, signal))
    if (name !== current) await engine.removeVolume(name, signal).catch(unlessUsed)
}

/** Every one of the instance; no server's volume has such a name. */
export async function wrapperVolumes(
  { engine, instance }: Pick<Estate, 'engine' | 'instance'>,
  signal: AbortSignal,
): Promise<readonly string[]> {
  return (await engine.volumes(labelsOf({ instance }), signal)).filter((name) => name.startsWith(`${instance}-stdio-`))
}

function unlessUsed(error: unknown): void {
  if (!(error instanceof EngineRefusal) || error.status !== 409) throw error
}

type Commands = Pick<ContainerOptions, 'Entrypoint' | 'Cmd'>

/** How a container is started whose program the wrapper serves: our own loader and Node, and the image's command behind them. */
export function wrappedCommand({ command, stdio }: Generation, { Config }: EngineImage): Commands {
  if (stdio === undefined) return command === undefined ? {} : { Cmd: [...command] }
  const inner = [...[Config.Entrypoint ?? []].flat(), ...(command ?? Config.Cmd ?? [])]
  if (inner.length === 0) throw new Error('its image names no program to run, and its manifest no command')
  const node = [`${place}/ld.so`, '--library-path', place, `${place}/node`, `${place}/${wrapperMain}`]
  return { Entrypoint: node, Cmd: wrapperArguments(stdio, inner) }
}

/** The image's own variables are seen too, for the wrapper is started in it. */
export function wrappedEnvironment(
  { stdio, env }: Generation,
  { Config }: EngineImage,
): Readonly<Record<string, string>> {
  if (stdio === undefined) return env
  const given = (Config.Env ?? []).map((entry) => [
    entry.slice(0, entry.indexOf('=')),
    entry.slice(entry.indexOf('=') + 1),
  ])
  return wrapperEnvironment(env, Object.fromEntries(given))
}

/** How a container mounts it. */
export function wrapperMount(volume: string) {
  return { Type: 'volume', Source: volume, Target: place, ReadOnly: true } as const
}
