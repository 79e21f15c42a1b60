import { setTimeout as sleep } from 'node:timers/promises'
import { log } from '../kit/log.ts'
import { ToolFailure } from '../kit/tool.ts'
import { Anything } from './answers.ts'
import { type Meaning, Refused, type Shape, understand } from './meaning.ts'
import { type Reply, send } from './send.ts'
import { readKey, type Settings } from './settings.ts'

export interface Question<Data> {
  /** Of Outline's API, such as `documents.info`. */
  readonly method: string
  readonly body: Readonly<Record<string, unknown>>
  readonly answer: Shape<Data>
  /** What a status means for this question, where Outline says less. */
  readonly meaning?: Meaning
}

export interface Wiki {
  /**
   * Asks Outline. Where its rate limit is reached it waits, if that is not for too long. At most 40 s.
   * @throws ToolFailure that says what to do; `Refused` for an answer with an error.
   */
  readonly ask: <Data>(question: Question<Data>, signal: AbortSignal) => Promise<Data>
  /** Why nothing can be asked now, or nothing. At most 4 s. */
  readonly check: () => Promise<string | undefined>
}

/** ms. Clients give up after 60 s, many proxies before. */
const wholeCall = 40_000
/** ms that an answer needs after waiting. */
const least = 2_000
/** ms, for the check that others wait for. */
const wholeCheck = 4_000

/** `most` is how long a question may take with all its waiting, in ms. */
export function createWiki(settings: Settings, most = wholeCall): Wiki {
  const post = createPost(settings)
  const pauses = createPauses()
  const ask: Wiki['ask'] = async ({ method, body, answer, meaning = {} }, signal) => {
    const text = JSON.stringify(body)
    const end = performance.now() + most
    for (let tries = 0; ; tries++) {
      await pauses.over(method, { end: end - least, signal })
      const reply = await post(method, text, { limit: end - performance.now(), signal })
      if (reply.status !== 429) return understand({ reply, method, answer, meaning })
      pauses.begin(method, reply.wait ?? 1_000 * 2 ** tries)
    }
  }
  return {
    ask: async (question, signal) => {
      try {
        return await ask(question, signal)
      } catch (error) {
        if (error instanceof ToolFailure) log.warn({ method: question.method, reason: error.message }, 'not answered')
        throw error
      }
    },
    check: () => check(post),
  }
}

interface Patience {
  readonly limit: number
  readonly signal?: AbortSignal
}

type Post = (method: string, body: string | undefined, patience: Patience) => Promise<Reply>

function createPost({ OUTLINE_API_URL, OUTLINE_TIMEOUT_MS }: Settings): Post {
  return async (method, body, { limit, signal }) => {
    const key = readKey()
    if (key.kind === 'lacking') throw new ToolFailure(key.why)
    const url = `${OUTLINE_API_URL}/${method}`
    return await send({ url, key: key.value, body, limit: Math.min(limit, OUTLINE_TIMEOUT_MS), signal })
  }
}

async function check(post: Post): Promise<string | undefined> {
  const method = 'auth.info'
  try {
    // Without a body: Outline's contract has none for this method.
    const reply = await post(method, undefined, { limit: wholeCheck })
    // It is there, and busy.
    if (reply.status !== 429) understand({ reply, method, answer: Anything, meaning: {} })
    return undefined
  } catch (error) {
    // A key for few methods is good for those.
    if (error instanceof Refused && error.status === 403) return undefined
    if (error instanceof ToolFailure) return error.message
    throw error
  }
}

/** When Outline wants to be asked again, by method: for all calls, so that they do not each run into the limit. */
function createPauses() {
  const until = new Map<string, number>()
  return {
    begin: (method: string, ms: number) => {
      log.warn({ method, ms }, 'rate limit')
      until.set(method, performance.now() + ms)
    },
    /** @throws ToolFailure at once if it would last beyond `end`. */
    over: async (method: string, { end, signal }: { readonly end: number; readonly signal: AbortSignal }) => {
      const last = until.get(method) ?? 0
      const wait = last - performance.now()
      if (wait <= 0) return
      if (last > end)
        throw new ToolFailure(`Outline’s rate limit is reached: try again in ${Math.ceil(wait / 1_000)} s.`)
      await sleep(wait, undefined, { signal })
    },
  }
}
