import { Worker } from 'node:worker_threads'
import type { Compiled } from '../desired.ts'
import type { BareTree } from '../source/bare-tree.ts'
import { PullFault } from '../source/pull-refs.ts'

/** A tree or a commit by its hash, and what it is to be called. */
export interface NamedTree {
  readonly oid: string
  readonly commit: string
}

const compileWithin = 30_000
const mostMemory = 512

/** Compiles trees in a thread with little time and little memory. Throws `PullFault` where they need more, or the signal's reason. */
export async function compileApart(
  place: BareTree,
  trees: readonly NamedTree[],
  signal: AbortSignal,
): Promise<readonly Compiled[]> {
  signal.throwIfAborted()
  const thread = new Worker(new URL('./compile-thread.ts', import.meta.url), {
    workerData: { ...place, trees },
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: mostMemory },
  })
  const limit = AbortSignal.timeout(compileWithin)
  try {
    return await answerOf(thread, AbortSignal.any([signal, limit]))
  } catch (error) {
    signal.throwIfAborted()
    if (limit.aborted) throw new PullFault(`its manifests took more than ${compileWithin / 1_000} s to read`)
    throw error
  } finally {
    await thread.terminate()
  }
}

function answerOf(thread: Worker, signal: AbortSignal): Promise<readonly Compiled[]> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    thread.once('message', (answers: readonly Compiled[]) => resolve(answers))
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
