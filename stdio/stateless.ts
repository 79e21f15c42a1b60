import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { errorText, isMutable, isRecord, type Message, metaOf, progressToken, rewrite, versionKey } from './message.ts'
import { Program } from './program.ts'
import { busy, Refusal } from './refusal.ts'
import { Reply } from './reply.ts'
import type { Settings } from './settings.ts'

const version = '2026-07-28'
const subscriptionKey = 'io.modelcontextprotocol/subscriptionId'
const levelKey = 'io.modelcontextprotocol/logLevel'
/** ms that a program has to say which era it speaks, and that clients wait for that; probes give up after five seconds. */
const askLimit = { program: 30_000, client: 3_000 }
/** What HTTP says of an error that is about the request as such. */
const statuses: ReadonlyMap<unknown, number> = new Map([
  [-32601, 404],
  [-32020, 400],
  [-32021, 400],
  [-32022, 400],
])

/** Which of a method's parameters `Mcp-Name` repeats. */
const names: Readonly<Record<string, string>> = { 'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri' }

interface Waiter {
  /** JSON text of the client's own id. */
  readonly id: string
  readonly token: string | undefined
  readonly wantsLogs: boolean
  readonly reply: Reply
}

/** The modern era: requests of all clients go to one program, which tells them apart by an id that is ours. */
export class Stateless {
  readonly #settings: Settings
  readonly #waiters = new Map<string, Waiter>()
  #program: Program | undefined
  #asking: Promise<boolean> | undefined
  #patience: Promise<boolean> = Promise.resolve(false)
  #told: ((message: Message) => void) | undefined
  #idle: NodeJS.Timeout | undefined
  #last = 0
  #closing = false

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** Answers one request. Throws a `Refusal`. */
  async ask(message: Message, { headers, response }: { headers: IncomingHttpHeaders; response: ServerResponse }) {
    checkHeaders(message, headers)
    if (!(await this.#speaks()))
      throw new Refusal(400, -32000, `Bad Request: this server does not speak ${version}; send initialize first`)
    if (response.destroyed) return
    const program = this.#running()
    const ours = `"r${++this.#last}"`
    const reply = new Reply(response, true, program)
    const wantsLogs = metaOf(message)[levelKey] !== undefined
    this.#waiters.set(ours, { id: message.id, token: progressToken(message), wantsLogs, reply })
    response.once('close', () => this.#left(ours))
    if (!program.write({ text: withIds(message, ours) })) {
      this.#waiters.delete(ours)
      throw busy('the program does not read what it is sent')
    }
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.#program?.end('the server stops')
  }

  /** Whether the program speaks the modern era at all, as far as that is known once it has been waited for long enough. */
  #speaks(): Promise<boolean> {
    if (this.#asking === undefined) {
      this.#asking = this.#discover()
      this.#patience = sleep(askLimit.client, false, { ref: false })
    }
    return Promise.race([this.#asking, this.#patience])
  }

  /** Asks it once; a program of the legacy era may well never answer. One that ends by itself has said nothing. */
  async #discover(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<Message | 'ended' | 'silent'>()
    const meta = { [versionKey]: version, 'io.modelcontextprotocol/clientCapabilities': {} }
    const text = JSON.stringify({ jsonrpc: '2.0', id: 'discover', method: 'server/discover', params: { _meta: meta } })
    const limit = setTimeout(resolve, askLimit.program, 'silent')
    this.#told = resolve
    const program = this.#running()
    program.write({ text })
    void program.ended.then(() => resolve('ended'))
    const heard = await promise
    clearTimeout(limit)
    this.#told = undefined
    if (heard === 'ended') this.#asking = undefined
    const speaks = typeof heard !== 'string' && isRecord(heard.result)
    if (!speaks) void program.end(`it does not speak ${version}`)
    return speaks
  }

  #running(): Program {
    if (this.#closing) throw busy('this server stops')
    this.#touch()
    if (this.#program?.runs) return this.#program
    const program = new Program(this.#settings, (message) => this.#hear(message))
    this.#program = program
    void program.ended.then((words) => this.#end(program, words))
    return program
  }

  #hear(message: Message): void {
    this.#touch()
    if (message.kind === 'response') this.#answer(message)
    else if (message.kind === 'notification') this.#note(message)
  }

  #answer(message: Message): void {
    const waiter = this.#waiters.get(message.id)
    if (waiter === undefined) {
      this.#told?.(message)
      return
    }
    this.#waiters.delete(message.id)
    const text = rewrite(message.text, (response) => {
      response.id = JSON.parse(waiter.id)
      if (isRecord(response.result)) restore(response.result._meta, subscriptionKey, waiter.id)
    })
    waiter.reply.answer(text, statuses.get(codeOf(text)))
  }

  /** Only what says which request it is about can be given to the client that asked; of the rest, logs go to whoever wants any. */
  #note(message: Message): void {
    const ours = JSON.stringify(metaOf(message)[subscriptionKey] ?? message.params.progressToken)
    const waiter = this.#waiters.get(ours)
    if (waiter === undefined) {
      if (message.method === 'notifications/message') [...this.#waiters.values()].find(wants)?.reply.note(message.text)
      return
    }
    const text = rewrite(message.text, ({ params }) => {
      if (!isMutable(params)) return
      if (waiter.token !== undefined) restore(params, 'progressToken', waiter.token)
      restore(params._meta, subscriptionKey, waiter.id)
    })
    waiter.reply.note(text)
  }

  /** A client that hangs up cancels. */
  #left(ours: string): void {
    if (!this.#waiters.delete(ours)) return
    this.#program?.write({
      text: `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${ours},"reason":"its client left"}}`,
    })
  }

  #end(program: Program, words: string): void {
    if (this.#program !== program) return
    clearTimeout(this.#idle)
    this.#program = undefined
    for (const { id, reply } of this.#waiters.values()) reply.answer(errorText(id, -32603, words))
    this.#waiters.clear()
  }

  #touch(): void {
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => {
      if (this.#waiters.size > 0) this.#touch()
      else void this.#program?.end(`nothing was said for ${this.#settings.idle / 1_000} s`)
    }, this.#settings.idle)
  }
}

function wants({ wantsLogs }: Waiter): boolean {
  return wantsLogs
}

function withIds({ text }: Message, ours: string): string {
  return rewrite(text, (request) => {
    request.id = JSON.parse(ours)
    const { params } = request
    if (isMutable(params)) restore(params._meta, 'progressToken', ours)
  })
}

/** Puts a value, as JSON text, where one stands. */
function restore(where: unknown, key: string, text: string): void {
  if (isMutable(where) && where[key] !== undefined) where[key] = JSON.parse(text)
}

function codeOf(text: string): unknown {
  const { error } = JSON.parse(text)
  return isRecord(error) ? error.code : undefined
}

/** 2026-07-28, basic/transports: what the headers say of a message is what it says. */
function checkHeaders(message: Message, headers: IncomingHttpHeaders): void {
  const claimed = metaOf(message)[versionKey]
  if (headers['mcp-protocol-version'] !== claimed)
    throw new Refusal(400, -32020, 'Header mismatch: MCP-Protocol-Version is not the version of the message')
  const method = headers['mcp-method']
  if (method !== message.method) throw new Refusal(400, -32020, 'Header mismatch: Mcp-Method is not the method')
  const name = message.params[names[message.method] ?? '']
  const header = headers['mcp-name']
  if (typeof name === 'string' && decoded(typeof header === 'string' ? header : '') !== name)
    throw new Refusal(400, -32020, 'Header mismatch: Mcp-Name is not what the message names')
}

/** Base64 stands where HTTP cannot carry the value as it is. */
function decoded(header: string): string {
  const encoded = /^=\?base64\?(.*)\?=$/s.exec(header)?.[1]
  return encoded === undefined ? header : Buffer.from(encoded, 'base64').toString()
}
