import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { z } from 'zod'
import type { Compiled } from '../desired.ts'
import type { Lineage } from '../guides.ts'
import type { Held } from '../held.ts'
import { PullFault } from '../source/pull-refs.ts'

/** What is read apart: commits of a bare repository, as a pass would read them. */
export const Question = z.object({
  folder: z.string(),
  path: z.string(),
  inherited: z.record(z.string(), z.string()),
  /** What the merge would be, and the head of the branch. */
  merged: z.string(),
  tip: z.string(),
  /** The last commit of which nothing was held back. */
  accepted: z.string().optional(),
  /** Plans that were approved on the machine. */
  approved: z.array(z.string()),
  /** Where the signers are; absent where nobody need sign. */
  signers: z.string().optional(),
})
export type Question = Readonly<z.infer<typeof Question>>

/** One commit, as its author wrote it and as far as it is trusted. */
export interface Reading {
  readonly whole: Compiled
  readonly trusted: Compiled
  /** What waits for a signature. */
  readonly held: readonly Held[]
  /** What lies between the accepted commit and this one; absent where the repository lacks that. */
  readonly lineage?: Lineage | undefined
}

export interface Readings {
  readonly merged: Reading
  readonly tip: Reading
  readonly accepted?: Compiled | undefined
}

/** ms */
const compileWithin = 30_000
const endWithin = 1_000
/** MiB */
const mostMemory = 512

/** Compiles commits in a thread with little time and little memory. Throws `PullFault` where they need more, or the signal's reason. */
export async function compileApart(question: Question, signal: AbortSignal): Promise<Readings> {
  signal.throwIfAborted()
  const thread = new Worker(new URL('./compile-thread.ts', import.meta.url), {
    workerData: question,
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: mostMemory },
  })
  const exited = new Promise<void>((done) => thread.once('exit', () => done()))
  const limit = AbortSignal.timeout(compileWithin)
  try {
    return await answerOf(thread, AbortSignal.any([signal, limit]))
  } catch (error) {
    signal.throwIfAborted()
    if (limit.aborted) throw new PullFault(`its manifests took more than ${compileWithin / 1_000} s to read`)
    throw error
  } finally {
    // The git that it runs ends before it does: afterwards nobody would end that.
    thread.postMessage('end')
    await Promise.race([exited, pause(endWithin, undefined, { ref: false })])
    await thread.terminate()
  }
}

function answerOf(thread: Worker, signal: AbortSignal): Promise<Readings> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    thread.once('message', (answer: Readings) => resolve(answer))
    thread.once('error', (error) => reject(faultOf(error)))
    thread.once('exit', () => reject(new Error('the thread that compiles ended without an answer')))
  })
}

function faultOf(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  if ('code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new PullFault(`its manifests need more than ${mostMemory} MiB to be read`, { cause: error })
  return error.name === 'TreeTooLarge' ? new PullFault(error.message, { cause: error }) : error
}
