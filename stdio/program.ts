import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { Lines } from './lines.ts'
import { StderrLog, say } from './log.ts'
import { type Message, readMessage } from './message.ts'
import { mark, reap, signalGroup } from './reap.ts'
import { longest, redact, type Settings } from './settings.ts'

/** ms: from the end of its stdin to SIGTERM, from there to SIGKILL; from the end of a pipe to that of its program, and back. */
const grace = { polite: 500, term: 5_000, deaf: 1_000, pipes: 500 }
/** Lines in a row that are no messages. */
const rubbishLimit = 20
/** Bytes that wait for a program that does not read. */
const backlog = 2 * longest

let started = 0

/** A program that speaks MCP on its stdin and stdout, in a process group of its own. */
export class Program {
  /** Resolves once nothing of it is left, with how it ended in words. */
  readonly ended: Promise<string>
  readonly name = `[${++started}]`
  /** Lines of its stdout that were no messages, or answers that nobody waited for. */
  dropped = 0
  readonly #settings: Settings
  readonly #mark = randomUUID()
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #log: StderrLog
  readonly #take: (message: Message) => void
  readonly #timers: NodeJS.Timeout[] = []
  #inRow = 0
  #rubbish = ''
  #why: string | undefined
  #gone = false

  /** `take` gets each message as it comes. */
  constructor(settings: Settings, take: (message: Message) => void) {
    this.#settings = settings
    this.#take = take
    this.#log = new StderrLog(settings, this.name)
    const [program, ...args] = settings.command
    const env = { ...settings.env, [mark]: this.#mark }
    this.#child = spawn(program, args, { env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
    this.ended = this.#watch()
  }

  get runs(): boolean {
    return !this.#gone && this.#why === undefined
  }

  /** What it said last that was no message, without secrets; for the people who run it, not for its clients. */
  get lastWords(): string {
    return this.#inRow > rubbishLimit ? this.#rubbish : this.#log.last
  }

  /** False where it takes no more: it has ended, or reads nothing. */
  write({ text }: Pick<Message, 'text'>): boolean {
    if (!this.runs || this.#child.pid === undefined || this.#child.stdin.writableLength > backlog) return false
    this.#child.stdin.write(`${text}\n`)
    return true
  }

  pause(): void {
    this.#child.stdout.pause()
  }

  resume(): void {
    this.#child.stdout.resume()
  }

  /** Ends it and all that it started: its stdin, SIGTERM, SIGKILL. `why` is what those who wait for it are told. */
  end(why: string): Promise<string> {
    if (this.#why !== undefined || this.#gone) return this.ended
    this.#why = why
    this.resume()
    this.#child.stdin.end()
    this.#after(grace.polite, () => this.#signal('SIGTERM'))
    this.#after(grace.polite + grace.term, () => this.#signal('SIGKILL'))
    return this.ended
  }

  /** Ends it at once: what it says cannot be followed any more. */
  #giveUp(why: string): void {
    void this.end(why)
    this.#signal('SIGKILL')
  }

  async #watch(): Promise<string> {
    const exit = this.#exit()
    if (this.#child.pid !== undefined) this.#listen()
    const how = await exit
    if (this.#child.pid !== undefined) await this.#clear()
    this.#gone = true
    this.#log.end()
    return this.#words(how)
  }

  #listen(): void {
    const { stdin, stdout, stderr } = this.#child
    for (const stream of [stdout, stderr]) stream.on('error', () => {}) // it has ended, and its exit says so
    stdin.once('error', () => this.#deaf('stdin'))
    stdin.on('error', () => {})
    stdout.once('end', () => this.#deaf('stdout'))
    const lines = new Lines(longest, { line: (text) => this.#line(text), over: () => this.#overlong() })
    stdout.on('data', (chunk: Buffer) => lines.take(chunk))
    stderr.on('data', (chunk: Buffer) => this.#log.take(chunk))
  }

  /** One that ends closes both; one that goes on without them can be of no use any more. */
  #deaf(stream: 'stdin' | 'stdout'): void {
    this.#after(grace.deaf, () => void this.end(`it closed its ${stream}`))
  }

  /** Ends what it has left behind, and takes what it has said before its end. */
  async #clear(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer)
    const closed = once(this.#child, 'close', { signal: AbortSignal.timeout(grace.pipes) }).catch(() => {}) // the limit
    this.#signal('SIGKILL')
    await reap(this.#mark)
    await closed
    const { stdin, stdout, stderr } = this.#child
    for (const stream of [stdin, stdout, stderr]) stream.destroy()
  }

  #exit(): Promise<string> {
    return new Promise((done) => {
      this.#child.once('error', (error) => this.#child.pid === undefined && done(unstartable(error, this.#settings)))
      this.#child.once('exit', (code, signal) => done(signal === null ? `exit code ${code}` : `killed by ${signal}`))
    })
  }

  #words(how: string): string {
    const words =
      this.#why === undefined ? `the program ended by itself (${how})` : `the program was ended: ${this.#why}`
    say(`${this.name} ${words}${this.dropped === 0 ? '' : `; ${this.dropped} lines of it were no answers to anything`}`)
    return words
  }

  #line(text: string): void {
    if (text.trim() === '' || this.#inRow > rubbishLimit) return
    const message = messageOf(text)
    if (message !== undefined) {
      this.#inRow = 0
      this.#take(message)
      return
    }
    this.dropped++
    if (++this.#inRow === 1) {
      this.#rubbish = this.#quote(text)
      say(`${this.name} writes to stdout what is no message: ${this.#rubbish}`)
    }
    if (this.#inRow === rubbishLimit + 1) this.#giveUp('it writes logs to stdout')
  }

  #quote(text: string): string {
    return JSON.stringify(redact(this.#settings, text).slice(0, 100))
  }

  #overlong(): void {
    this.#giveUp(`it wrote a line of more than ${longest} bytes`)
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child.pid !== undefined) signalGroup(this.#child.pid, signal)
  }

  #after(ms: number, act: () => void): void {
    this.#timers.push(setTimeout(act, ms))
  }
}

function messageOf(text: string): Message | undefined {
  try {
    return readMessage(text)
  } catch {
    return undefined
  }
}

function unstartable(error: Error, { command }: Settings): string {
  return 'code' in error && error.code === 'ENOENT' ? `there is no program ${command[0]}` : error.message
}
