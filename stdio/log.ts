import { StringDecoder } from 'node:string_decoder'
import { redact, type Settings } from './settings.ts'

/** Bytes of its stderr that a program may log in a window, and the length of one, ms. */
const most = 128 * 1024
const span = 10_000
const longestLine = 4 * 1024
/** More of a line is looked at, so that no secret is cut before it is known. */
const mostKept = 16 * longestLine

/** What a runtime says when it gives up is not always the last that it says. */
const telling = /^(?!\s+at\b).*(?:error|exception)\b|\b(?:cannot|fatal|panic|denied|failed)\b/i

/** Says a line on stderr, which is the log of a server. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Takes a program's stderr, as it comes; what is more than a log can bear is counted instead. */
export class StderrLog {
  readonly #settings: Settings
  readonly #name: string
  readonly #decoder = new StringDecoder()
  #rest = ''
  #last = ''
  #telling = ''
  #left = most
  #dropped = 0
  #since = Date.now()

  constructor(settings: Settings, name: string) {
    this.#settings = settings
    this.#name = name
  }

  /** The last line that tells of a fault, else its last line, without secrets. */
  get last(): string {
    return this.#telling || this.#last
  }

  take(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split(/[\r\n]+/)
    this.#rest = (lines.pop() ?? '').slice(0, mostKept)
    for (const line of lines) this.#say(line)
  }

  end(): void {
    if (this.#rest !== '') this.#say(this.#rest)
    this.#rest = ''
    this.#tellDropped()
  }

  #say(line: string): void {
    if (line.trim() === '') return
    const now = Date.now()
    if (now - this.#since > span) {
      this.#tellDropped()
      this.#since = now
      this.#left = most
    }
    const shown = redact(this.#settings, line).slice(0, longestLine)
    if (telling.test(shown)) this.#telling = shown
    else this.#last = shown
    if (shown.length > this.#left) {
      this.#dropped++
      return
    }
    this.#left -= shown.length
    say(`${this.#name} ${shown}`)
  }

  #tellDropped(): void {
    if (this.#dropped > 0) say(`${this.#name} (${this.#dropped} lines of stderr were too many)`)
    this.#dropped = 0
  }
}
