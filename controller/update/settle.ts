import type { Estate } from '../docker/network.ts'
import type { OwnContainer } from '../docker/own.ts'
import { findUpdater, isOver } from '../docker/renew.ts'
import { type Record, readRecord, tagOf, writeRecord } from './record.ts'
import { finish } from './swap.ts'

/**
 * Cleans up after an updater that ended half-way, from the controller that runs: whichever that is, it is the only one then.
 * While the updater runs all of it is left to that.
 */
export async function settleUpdate(
  estate: Estate,
  { own, state }: { readonly own: OwnContainer; readonly state: string },
  signal: AbortSignal,
): Promise<void> {
  const updater = await findUpdater(estate, signal)
  if (updater !== undefined && !isOver(updater)) return
  if (updater !== undefined) await estate.engine.removeContainer(updater.Id, 'stopped', signal)
  const record = await readRecord(state)
  if (record?.phase === 'swapping' || record?.phase === 'returning')
    await conclude(estate, own, { record, state }, signal)
}

type HalfWay = Extract<Record, { phase: 'swapping' | 'returning' }>

async function conclude(
  { engine }: Estate,
  own: OwnContainer,
  { record, state }: { readonly record: HalfWay; readonly state: string },
  signal: AbortSignal,
): Promise<void> {
  const tag = tagOf(record)
  if (own.id === record.next) {
    await engine.stopContainer(record.old, 30, signal)
    await finish(engine, record, signal)
    await writeRecord(state, { phase: 'done', ...tag })
  } else if (own.id === record.old) {
    await engine.removeContainer(record.next, 'even running', signal)
    const reason = record.phase === 'returning' ? record.reason : 'the update was interrupted'
    await writeRecord(state, { phase: 'refused', ref: record.ref, commit: record.commit, reason, ...tag })
  }
}
