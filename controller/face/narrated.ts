import type { CommitStatus } from '#manifests/status.ts'
import type { Controller } from '../controller.ts'
import type { Word } from '../narration.ts'
import { wordsOf } from './door.ts'

/** A line so often keeps who waits from taking silence for an end, ms. */
const beat = 15_000

/** What goes on while a pass is waited for, a JSON document a line: words, `{}` for silence, and at the end what came of it. */
export async function* narrated(controller: Controller, signal: AbortSignal): AsyncGenerator<string> {
  const ending = new AbortController()
  const words = controller.narrate(beat, AbortSignal.any([signal, ending.signal]))
  const outcome = controller
    .reconcile(signal)
    .then(
      (commit): Outcome => ({ commit }),
      (error: unknown): Outcome => ({ error: wordsOf(error) }),
    )
    .finally(() => setImmediate(() => ending.abort())) // once what was said before has been heard
  for await (const word of words) yield lineOf(word ?? {})
  yield lineOf(await outcome)
}

type Outcome = { readonly commit: CommitStatus } | { readonly error: string }

function lineOf(value: Word | Outcome | Record<string, never>): string {
  return `${JSON.stringify(value)}\n`
}
