import { setTimeout as pause } from 'node:timers/promises'
import { readRecord, tagOf, writeRecord } from '../update/record.ts'
import type { EngineContainer } from './engine.ts'
import { carries, updaterName } from './labels.ts'
import { Described, DescribedImage, helperOf } from './likeness.ts'
import { plainText } from './log.ts'
import type { Estate } from './network.ts'
import type { OwnContainer } from './own.ts'

/** What the image has for it: a program that takes the old controller's id, the commit and the image. */
const program = ['node', 'controller/update/main.ts']
const glance = 500

export interface Renewal {
  readonly own: OwnContainer
  /** The state folder. */
  readonly state: string
  /** What the next controller is made from. */
  readonly ref: string
  readonly commit: string
}

/**
 * Has an updater, which runs from the new image, look whether that would change more than itself, and put it in this
 * controller's place. Resolves with why it did not; where it did, this process has been told to end before.
 */
export async function renewController(estate: Estate, renewal: Renewal, signal: AbortSignal): Promise<string> {
  const { engine, instance } = estate
  const name = updaterName(instance)
  await ended(estate, signal)
  const told = await takeRefusal(renewal)
  if (told !== undefined) return told
  const old = Described.parse(await engine.describe('container', renewal.own.id, signal))
  const image = DescribedImage.parse(await engine.describe('image', old.Image, signal))
  const command = [...program, renewal.own.id, renewal.commit, renewal.ref]
  const made = await engine.createLike(name, helperOf(old, image, instance, { image: renewal.ref, command }), signal)
  if (made === 'taken') throw new Error(`container ${name} was made by another at the same time`)
  await writeRecord(renewal.state, { phase: 'checking', ...tagOf(await readRecord(renewal.state)) })
  await engine.startContainer(made.id, signal)
  const words = await ended(estate, signal)
  return (await takeRefusal(renewal)) ?? `the updater ended early: ${words}`
}

/** What an updater has said of this very renewal, once: also to a controller that it ended, and started again. */
async function takeRefusal({ state, ref, commit }: Renewal): Promise<string | undefined> {
  const record = await readRecord(state)
  if (record?.phase !== 'refused' || record.ref !== ref || record.commit !== commit) return undefined
  await writeRecord(state, { phase: 'checking', ...tagOf(record) })
  return record.reason
}

/** Waits until no updater runs, and removes what is left of it; gives its last words. It is never ended: it may be half-way. */
async function ended(estate: Estate, signal: AbortSignal): Promise<string> {
  const { engine } = estate
  let words = 'it says nothing'
  for (;;) {
    const updater = await findUpdater(estate, signal)
    if (updater === undefined) return words
    const log = plainText(await engine.logs(updater.Id, 20, signal)).split('\n')
    words = log.findLast((line) => /^\S/.test(line)) ?? words
    if (isOver(updater)) await engine.removeContainer(updater.Id, 'stopped', signal)
    else await pause(glance, undefined, { signal })
  }
}

export async function findUpdater(estate: Estate, signal: AbortSignal): Promise<EngineContainer | undefined> {
  const { engine, instance } = estate
  const found = await engine.container(updaterName(instance), signal)
  if (found !== undefined && !carries(found.Config.Labels, { instance, role: 'updater' }))
    throw new Error(`container ${updaterName(instance)} exists and is not ours: remove it`)
  return found
}

/** One that the engine will not start again. */
export function isOver({ State }: EngineContainer): boolean {
  return State.Status === 'exited' || State.Status === 'dead' || State.Status === 'created'
}
