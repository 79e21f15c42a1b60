import type { Definition } from '#manifests/definition.ts'
import type { Bell } from './bell.ts'

/** What proxies are asked in the answers to their polls: the tools of generations, which are too long for every report. */
export interface Questions {
  /** Whether there is a question that a proxy was not asked lately. */
  areFor(proxy: string): boolean
  /** Those questions; they count as asked now. */
  put(proxy: string): readonly string[]
  /** Takes what a report answers. */
  hear(definitions: Readonly<Record<string, readonly Definition[]>>): void
  /** The answer; undefined if none comes within `limit` ms. */
  ask(generation: string, limit: number, signal: AbortSignal): Promise<readonly Definition[] | undefined>
}

/** An answer that got lost is asked for again after this, ms. */
const patience = 1_000
/** Generations in one answer to a poll. */
const most = 8

interface Question {
  readonly generation: string
  /** When each proxy was asked. */
  readonly putTo: Map<string, number>
  answer: readonly Definition[] | undefined
}

export function createQuestions(wake: Bell): Questions {
  const open = new Set<Question>()
  const fresh = (proxy: string) =>
    [...open].filter(({ putTo, answer }) => answer === undefined && Date.now() - (putTo.get(proxy) ?? 0) > patience)
  return {
    areFor: (proxy) => fresh(proxy).length > 0,
    put(proxy) {
      const questions = fresh(proxy)
      const generations = [...new Set(questions.map(({ generation }) => generation))].slice(0, most)
      for (const { generation, putTo } of questions) if (generations.includes(generation)) putTo.set(proxy, Date.now())
      return generations
    },
    hear(definitions) {
      for (const question of open) question.answer ??= definitions[question.generation]
    },
    async ask(generation, limit, signal) {
      const question: Question = { generation, putTo: new Map(), answer: undefined }
      const until = Date.now() + limit
      const again = setInterval(() => wake.ring(), patience)
      open.add(question)
      wake.ring()
      try {
        while (question.answer === undefined && Date.now() < until && !signal.aborted)
          await wake.next(until - Date.now(), signal)
        return question.answer
      } finally {
        clearInterval(again)
        open.delete(question)
      }
    },
  }
}
