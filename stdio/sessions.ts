import type { ServerResponse } from 'node:http'
import { errorText, isRecord, type Message, rewrite } from './message.ts'
import { busy, Refusal } from './refusal.ts'
import { Reply } from './reply.ts'
import { Session } from './session.ts'
import type { Settings } from './settings.ts'

/** Who opens a session: the gateway's probes look whether the program works, or listen to what it says changed, and are none of its clients. */
export type Opener = 'client' | 'probe'

/** Probes at once: a proxy asks in one and listens in another, and while it is replaced there are two proxies. */
const probes = 6
/** Starts in a row that fail before this is no accident. */
const failuresLimit = 5

/** A program that a probe has left, for the next one that asks the same. */
interface Spare {
  readonly session: Session
  readonly params: string
  readonly text: string
}

/** Every session, and so every program. */
export class Sessions {
  readonly #settings: Settings
  readonly #all = new Map<Session, Opener>()
  readonly #probed = new Map<Session, Omit<Spare, 'session'>>()
  #spare: Spare | undefined
  /** A probe gives up sooner than a program that starts slowly: the next one waits for it too. */
  #starting: Promise<unknown> = Promise.resolve()
  #failures = 0
  /** When the next program may be started, ms since the epoch. */
  #notBefore = 0
  #lastWords = ''
  #closing = false

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** What is wrong, in words; undefined while programs can be started. */
  get fault(): string | undefined {
    return this.#failures < failuresLimit ? undefined : this.#lastWords
  }

  count(opener: Opener): number {
    return [...this.#all.values()].filter((one) => one === opener).length
  }

  find(id: string): Session {
    for (const session of this.#all.keys())
      if (session.id === id && session.program.runs && session !== this.#spare?.session) return session
    throw new Refusal(404, -32001, 'Session not found')
  }

  /** Answers `initialize` with a session, in a program of its own. */
  async open(message: Message, opener: Opener, response: ServerResponse): Promise<void> {
    if (opener === 'probe') await this.#starting
    if (response.destroyed) return
    const spare = opener === 'probe' ? this.#takeSpare(message) : undefined
    if (spare !== undefined) return greet(spare.session, response, withId(spare.text, message.id))
    const session = await this.#startInRoom(opener)
    const left = () => void (response.writableFinished || session.program.end('its client left during initialize'))
    if (opener === 'client') response.once('close', left)
    const initializing = session.initialize(message)
    if (opener === 'probe') this.#starting = initializing
    const { text, result } = await initializing
    if (!isRecord(result)) {
      const words = wordsOf(text, session.program.lastWords)
      if (opener === 'probe') this.#rest(words)
      new Reply(response, false).answer(opener === 'probe' ? errorText(message.id, -32603, words) : text)
      await session.program.end('it refused initialize')
      return
    }
    this.#failures = 0
    if (opener === 'probe') this.#probed.set(session, { params: JSON.stringify(message.params), text })
    if (response.destroyed) return this.end(session)
    greet(session, response, text)
  }

  /** Ends a session once its client says so; what a probe leaves is kept for the next one. */
  async end(session: Session): Promise<void> {
    const known = this.#probed.get(session)
    const keep = known !== undefined && session.isQuiet && Date.now() - session.since < this.#settings.idle
    if (!keep) return void (await session.program.end('its client ended the session'))
    const before = this.#spare
    session.leave()
    this.#spare = { ...known, session }
    await before?.session.program.end('there is a newer one')
  }

  /** Ends all of them; there are no more after that. */
  async close(): Promise<void> {
    this.#closing = true
    await Promise.all([...this.#all.keys()].map(({ program }) => program.end('the server stops')))
  }

  /** Of probes only: what a client sends must not keep the others out. */
  #rest(words: string): void {
    this.#lastWords = words
    this.#notBefore = Date.now() + restAfter(++this.#failures)
  }

  #takeSpare({ params }: Message): Spare | undefined {
    const spare = this.#spare
    if (spare?.params !== JSON.stringify(params) || !spare.session.program.runs) return undefined
    this.#spare = undefined
    return spare
  }

  #start(opener: Opener): Session {
    const session = new Session(this.#settings)
    this.#all.set(session, opener)
    void session.program.ended.then(() => {
      this.#all.delete(session)
      this.#probed.delete(session)
      if (this.#spare?.session === session) this.#spare = undefined
    })
    return session
  }

  /** One that is just ending is waited for, so that as many programs run at once as may. */
  async #startInRoom(opener: Opener): Promise<Session> {
    if (Date.now() < this.#notBefore) throw busy(opener === 'probe' ? this.#lastWords : 'this server fails to start')
    const most = opener === 'probe' ? probes : this.#settings.sessions
    while (this.count(opener) >= most && !this.#closing) {
      const ending = [...this.#all].filter(([{ program }, other]) => other === opener && !program.runs)
      if (ending.length === 0) throw busy(`all ${most} sessions of this server are in use`)
      await Promise.race(ending.map(([{ program }]) => program.ended))
    }
    if (this.#closing) throw busy('this server stops')
    return this.#start(opener)
  }
}

/** ms in which none is started: a second, doubled each time up to half a minute, once there were too many failures. */
function restAfter(failures: number): number {
  return failures < failuresLimit ? 0 : Math.min(30_000, 1_000 * 2 ** (failures - failuresLimit))
}

function greet(session: Session, response: ServerResponse, text: string): void {
  new Reply(response, false, undefined, { 'mcp-session-id': session.id }).answer(text)
}

function withId(text: string, id: string): string {
  return rewrite(text, (message) => {
    message.id = JSON.parse(id)
  })
}

function wordsOf(text: string, last: string): string {
  const { error } = JSON.parse(text)
  return `${isRecord(error) ? error.message : text}${last === '' ? '' : `; its last words: ${last}`}`
}
