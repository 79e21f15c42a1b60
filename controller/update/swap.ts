import { setTimeout as pause } from 'node:timers/promises'
import type { Engine } from '../docker/engine.ts'
import { imageTag } from '../docker/labels.ts'
import { Described, DescribedImage, furtherNetworks, type NewImage, successorOf } from '../docker/likeness.ts'
import { plainText } from '../docker/log.ts'
import { messageOf } from '../troubles.ts'
import { readRecord, type Swap, writeRecord } from './record.ts'

/** Time for the next controller to be ready, ms. */
const readyWithin = 60_000
/** Seconds that a controller has to end. */
const grace = 30
const glance = 500
/** A program that the engine has started so often again does not run. */
const mostRestarts = 3

export interface Scene {
  readonly engine: Engine
  readonly instance: string
  /** The state folder. */
  readonly state: string
  /** What the controller of this state still lacks to be ready; none where it is. Throws while none answers. */
  readonly lacks: (signal: AbortSignal) => Promise<readonly string[]>
}

/** Makes the controller that is to take the place of another; one that was made for it already is taken. */
export async function prepareSwap(
  { engine, instance, state }: Scene,
  old: string,
  { image, commit }: { readonly image: NewImage; readonly commit: string },
  signal: AbortSignal,
): Promise<Swap> {
  const described = Described.parse(await engine.describe('container', old, signal))
  const oldImage = DescribedImage.parse(await engine.describe('image', described.Image, signal))
  const likeness = successorOf(described, oldImage, instance, image)
  const name = `${instance}-controller-${image.id.replace('sha256:', '').slice(0, 12)}`
  const left = await engine.container(name, signal)
  if (left !== undefined && left.Id !== old) await engine.removeContainer(left.Id, 'even running', signal)
  const made = await engine.createLike(name, likeness, signal)
  if (made === 'taken') throw new Error(`there is a container ${name} already`)
  for (const network of furtherNetworks(described)) await engine.connect(network, made.id, signal)
  const before = await readRecord(state)
  const tag = operatorsTag(described.Config.Image ?? '', instance) ?? before?.tag
  return { old, next: made.id, image: image.id, ref: image.ref, commit, ...(tag === undefined ? {} : { tag }) }
}

/** What an operator called the image: no id, no digest, and no tag of ours. */
function operatorsTag(ref: string, instance: string): string | undefined {
  const isId = /^(sha256:)?[0-9a-f]{64}$/.test(ref) || ref.includes('@')
  return ref === '' || isId || ref.startsWith(imageTag(instance, 'gateway', '')) ? undefined : ref
}

/**
 * Ends the old controller and starts the next one; where that is not ready in time, the old one is started again. Each step is
 * recorded before it is taken, and may be taken twice: at the end there is one controller. Gives why it was the old one.
 */
export async function swap(scene: Scene, planned: Swap, signal: AbortSignal): Promise<string | undefined> {
  const { engine, state } = scene
  await writeRecord(state, { phase: 'swapping', ...planned })
  const old = await engine.container(planned.old, signal)
  if (old !== undefined) {
    await engine.stopContainer(planned.old, grace, signal)
    const reason = await startNext(scene, planned, signal)
    if (reason !== undefined) return await goBack(scene, planned, reason, signal)
  }
  await finish(engine, planned, signal)
  await writeRecord(state, { phase: 'done', ...(planned.tag && { tag: planned.tag }) })
  return undefined
}

/** The old controller runs again, and nothing is left of the next one. */
export async function goBack(scene: Scene, planned: Swap, reason: string, signal: AbortSignal): Promise<string> {
  const { engine, state } = scene
  await writeRecord(state, { phase: 'returning', ...planned, reason })
  await engine.stopContainer(planned.next, grace, signal)
  await engine.startContainer(planned.old, signal)
  await engine.removeContainer(planned.next, 'even running', signal)
  await writeRecord(state, {
    phase: 'refused',
    ref: planned.ref,
    commit: planned.commit,
    reason,
    ...(planned.tag && { tag: planned.tag }),
  })
  return reason
}

/** Nothing is left of the old controller, and its tag stands for the next one's image. */
export async function finish(engine: Engine, { old, image, tag }: Swap, signal: AbortSignal): Promise<void> {
  await engine.removeContainer(old, 'stopped', signal)
  if (tag === undefined) return
  const [, name = tag, version = 'latest'] = /^(.*?)(?::([\w][\w.-]*))?$/.exec(tag) ?? []
  await engine.tagImage(image, name, version, signal)
}

/** Why it is not ready in time; undefined where it is. */
async function startNext({ engine, lacks }: Scene, { next }: Swap, signal: AbortSignal): Promise<string | undefined> {
  try {
    await engine.startContainer(next, signal)
  } catch (error) {
    return `it cannot be started: ${messageOf(error)}`
  }
  const until = Date.now() + readyWithin
  let last = 'it does not answer'
  while (Date.now() < until) {
    const unit = await engine.container(next, signal)
    if (unit === undefined) return 'its container is gone'
    if (unit.State.Status === 'exited' || unit.RestartCount >= mostRestarts)
      return `it does not run: ${await lastWords(engine, next, signal)}`
    const missing = await lacks(signal).catch(() => [last])
    if (missing.length === 0) return undefined
    last = missing.join('; ')
    await pause(glance, undefined, { signal })
  }
  return `it was not ready within ${readyWithin / 1_000} s: ${last}`
}

/** The last line of its output that is not a stack's. */
async function lastWords(engine: Engine, id: string, signal: AbortSignal): Promise<string> {
  const lines = plainText(await engine.logs(id, 20, signal)).split('\n')
  return lines.findLast((line) => /^\S/.test(line)) ?? 'it says nothing'
}
