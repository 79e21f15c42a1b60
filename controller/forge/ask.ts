import { readFileSync } from 'node:fs'
import { getCACertificates } from 'node:tls'
import { type Dispatcher, EnvHttpProxyAgent, request } from 'undici'
import type { z } from 'zod'
import { RefusalAnswer } from './answers.ts'
import { describeRefusal, ForgeDown, ForgeRefusal, type Need } from './fault.ts'

const answerWithin = 15_000
const mostBytes = 8 * 1024 * 1024
/** No forge is left alone for longer than this, whatever it asks for, ms. */
const longestWait = 15 * 60_000

/** Where the forge is, as this machine reaches it, and who asks. */
export interface Line {
  /** GATEWAY_FORGE_URL, without a slash at its end. */
  readonly url: string
  readonly token: string
  /** `owner/name`. */
  readonly repository: string
  /** A file of certificates that are trusted beside the machine's. */
  readonly caFile?: string
  /** What of the environment says how to get out: `http_proxy` and its like. */
  readonly inherited: Readonly<Record<string, string>>
}

export interface Question {
  readonly method: 'GET' | 'POST' | 'PATCH'
  /** Below `/api/v1`, with its query. */
  readonly path: string
  /** How people are told of it, as `POST statuses`. */
  readonly call: string
  readonly need: Need
  readonly body?: Readonly<Record<string, unknown>>
}

export interface Answer<T> {
  readonly value: T
  /** Whether the forge has another page. */
  readonly more: boolean
}

/** Asks the forge; throws `ForgeRefusal`, `ForgeDown`, or the signal's reason. The token is in no error. */
export type Ask = <T>(question: Question, answer: z.ZodType<T>, signal: AbortSignal) => Promise<Answer<T>>

/** Connections to the forge; closed, it lets nobody wait. */
export function openLine(line: Line): { readonly ask: Ask; close(): Promise<void> } {
  const dispatcher = connect(line)
  let quietUntil = 0
  const ask: Ask = async (question, answer, signal) => {
    const left = quietUntil - Date.now()
    if (left > 0)
      throw new ForgeDown(`the forge asked to be left alone for ${Math.ceil(left / 1_000)} s`, { wait: left })
    const raw = await exchange(line, dispatcher, { question, signal })
    const wait = waitOf(raw)
    if (wait !== undefined) quietUntil = Date.now() + wait
    return { value: readAnswer(answer, accept(line, question, raw), question), more: raw.link.includes('rel="next"') }
  }
  return { ask, close: () => dispatcher.destroy() }
}

function connect({ caFile, inherited }: Line): Dispatcher {
  const ca = caFile === undefined ? {} : { ca: [...getCACertificates('default'), readCertificates(caFile)] }
  const way = (name: string) => inherited[name] ?? inherited[name.toUpperCase()] ?? ''
  return new EnvHttpProxyAgent({
    httpProxy: way('http_proxy'),
    httpsProxy: way('https_proxy'),
    noProxy: way('no_proxy'),
    connections: 4,
    connect: { timeout: 5_000, ...ca },
    headersTimeout: answerWithin,
    bodyTimeout: answerWithin,
  })
}

function readCertificates(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new Error(`GATEWAY_CA_FILE: ${file} cannot be read`, { cause })
  }
}

interface Raw {
  readonly status: number
  readonly location: string
  readonly link: string
  readonly retryAfter: string
  readonly text: string
}

interface Asked {
  readonly question: Question
  readonly signal: AbortSignal
}

/** A redirect is an answer like any other here: the token goes nowhere but to the address that it was given for. */
async function exchange({ url, token }: Line, dispatcher: Dispatcher, { question, signal }: Asked): Promise<Raw> {
  const { method, path, body } = question
  const limit = AbortSignal.any([signal, AbortSignal.timeout(answerWithin)])
  try {
    const {
      statusCode,
      headers,
      body: stream,
    } = await request(`${url}/api/v1${path}`, {
      dispatcher,
      method,
      signal: limit,
      headers: { authorization: `token ${token}`, accept: 'application/json', 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const header = (name: string) => headers[name]?.toString() ?? ''
    const told = { location: header('location'), link: header('link'), retryAfter: header('retry-after') }
    return { status: statusCode, ...told, text: await readText(stream) }
  } catch (cause) {
    signal.throwIfAborted()
    throw new ForgeDown(`the forge does not answer: ${wordsOf(cause)}`, { cause })
  }
}

async function readText(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of stream) {
    bytes += chunk.length
    if (bytes > mostBytes) throw new Error(`its answer is longer than ${mostBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The text of an answer that is one; throws for all others. */
function accept({ url, repository }: Line, { call, need }: Question, { status, location, text }: Raw): string {
  if (status >= 200 && status < 300) return text
  if (status >= 300 && status < 400)
    throw new ForgeRefusal(
      `the forge sends on to ${originOf(location, url)} (${status}): give GATEWAY_FORGE_URL its last address`,
      status,
    )
  if (status >= 500 || status === 429 || status === 408 || status === 423 || status === 425)
    throw new ForgeDown(`the forge answers ${call} with ${status}`, { status })
  const said = messageOf(text)
  // Who stands before a forge that is away says so with a page of its own: nothing is gone for that.
  if (status === 404 && text !== '' && said === '') throw notForgejo(call)
  throw new ForgeRefusal(describeRefusal({ call, url, repository, need, status, said }), status)
}

function readAnswer<T>(answer: z.ZodType<T>, text: string, { call }: Question): T {
  const json = parseJson(text)
  if (json === undefined) throw notForgejo(call)
  const { success, data, error } = answer.safeParse(json)
  if (success) return data
  const [issue] = error.issues
  throw new ForgeDown(`the forge answers ${call} otherwise than Forgejo: ${issue?.path.join('.')}: ${issue?.message}`)
}

function notForgejo(call: string): ForgeDown {
  return new ForgeDown(`the forge answers ${call} with what is not JSON: is GATEWAY_FORGE_URL that of a Forgejo?`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function messageOf(text: string): string {
  return RefusalAnswer.safeParse(parseJson(text)).data?.message.replace(/\s+/g, ' ').trim() ?? ''
}

/** How long the forge, or what stands before it, wants to be left alone, ms. */
function waitOf({ status, retryAfter }: Raw): number | undefined {
  if ((status !== 429 && status !== 503) || retryAfter === '') return undefined
  const wait = /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1_000 : Date.parse(retryAfter) - Date.now()
  return wait > 0 ? Math.min(wait, longestWait) : undefined
}

function originOf(location: string, base: string): string {
  return URL.parse(location, base)?.origin ?? 'nowhere'
}

function wordsOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  if (cause.name === 'TimeoutError') return `not within ${answerWithin / 1_000} s`
  const first = cause instanceof AggregateError ? cause.errors[0] : undefined
  return first instanceof Error ? first.message : cause.message || cause.name
}
