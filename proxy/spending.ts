import { isRecord } from './message.ts'
import { streamReceiver, textReceiver } from './post.ts'
import type { Head, Receiver } from './transfer.ts'

/** A call that a budget counts. */
export interface Call {
  /** JSON text of its id; undefined for a notification. */
  readonly id: string | undefined
  readonly tool: string
}

/** What is known of an answer. */
export interface Outcome {
  readonly error: boolean
  readonly result: Readonly<Record<string, unknown>>
}

/**
 * What some calls have taken of their budgets. Given back when they were never sent, when the server did not take them, and where
 * the answer is an error; kept where nobody knows. `give` gives one back.
 */
export class Spending implements Disposable {
  readonly #open: Set<Call>
  readonly #give: (call: Call) => void
  #sent = false

  constructor(calls: readonly Call[], give: (call: Call) => void) {
    this.#open = new Set(calls)
    this.#give = give
  }

  /** From now on they may have been done. */
  sent(): void {
    this.#sent = true
  }

  /** An upstream's HTTP status: a request that it redirects or refuses, it has not done. */
  status(status: number): void {
    if (status >= 300 && status < 500) this.#sent = false
  }

  /** Takes the answer to one of them; without an id, or with `null`, to each. */
  answered(id: string | undefined, { error, result }: Outcome): void {
    if (result.resultType === 'input_required') {
      // Nothing is done before the client has said more; the same call is then sent again.
      this.#sent = false
      return
    }
    for (const call of [...this.#open]) {
      if (id !== undefined && id !== 'null' && normal(call.id) !== id) continue
      this.#open.delete(call)
      if (error || result.isError === true) this.#give(call)
      if (id !== undefined && id !== 'null') return
    }
  }

  /** Reads what passes by on its way to the client. */
  watch({ type, status }: Head, receiver: Receiver): Receiver {
    this.status(status)
    const take = (text: string) => this.#take(text)
    let tap: Receiver | undefined = type === 'text/event-stream' ? streamReceiver(take) : textReceiver(take)
    const attempt = (act: (tap: Receiver) => unknown) => {
      try {
        if (tap !== undefined) act(tap)
      } catch {
        // What cannot be read says nothing: then they stay taken.
        tap = undefined
      }
    }
    return {
      drained: (resume) => receiver.drained(resume),
      write: (chunk) => {
        attempt((open) => open.write(chunk))
        return receiver.write(chunk)
      },
      end: () => {
        attempt((open) => open.end())
        receiver.end()
      },
    }
  }

  #take(text: string): void {
    const parsed: unknown = JSON.parse(text)
    for (const message of Array.isArray(parsed) ? parsed : [parsed]) {
      if (!isRecord(message) || message.method !== undefined) continue
      const result = isRecord(message.result) ? message.result : {}
      this.answered(JSON.stringify(message.id ?? null), { error: 'error' in message, result })
    }
  }

  [Symbol.dispose](): void {
    if (!this.#sent) for (const call of this.#open) this.#give(call)
    this.#open.clear()
  }
}

/** The same id may be written in several ways. */
function normal(id: string | undefined): string | undefined {
  return id === undefined ? undefined : JSON.stringify(JSON.parse(id))
}
