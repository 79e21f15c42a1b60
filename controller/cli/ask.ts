import { existsSync } from 'node:fs'
import { type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { type Command, Option } from 'commander'
import { z } from 'zod'
import { adminSocket } from '../face/admin-socket.ts'
import { checkout } from './checkout.ts'
import { Fault, Unanswered } from './fault.ts'

/** How a verb reaches the controller: the socket in a state folder, or an address with the operator token. */
export interface Where {
  readonly state?: string | undefined
  readonly url?: string | undefined
  readonly token?: string | undefined
}

/** Where controllers keep their state when nobody says otherwise: `npm start` of this checkout, and a machine's own. */
export const usualStates = [join(checkout, '.gateway'), '/var/lib/gateway']

const answerWithin = 30_000
const Refused = z.object({ error: z.string() })

export function addState(command: Command): Command {
  return command.addOption(
    new Option('--state <dir>', 'state folder of the controller, whose socket to use').env('GATEWAY_STATE'),
  )
}

export function addWhere(command: Command): Command {
  return addState(command)
    .option('--url <url>', 'status address of the controller, instead of its socket')
    .addOption(new Option('--token <token>', 'operator token for --url').env('GATEWAY_OPERATOR_TOKEN'))
}

/** Asks the controller for JSON; `within` is in ms. Throws a Fault if none answers, or if it refuses. */
export async function ask(
  where: Where,
  {
    method = 'GET',
    path,
    within = answerWithin,
  }: { readonly method?: 'GET' | 'POST'; readonly path: string; readonly within?: number },
): Promise<unknown> {
  const target = targetOf(where)
  const options = { method, signal: AbortSignal.timeout(within) }
  const answer = await open(target, path, options)
  return readJson(await unlessEnded(text(answer), target, options), target.name)
}

/** Asks the controller for what it tells bit by bit, until it has told all, or the signal. Throws as `ask` does. */
export async function* listen(
  where: Where,
  {
    method = 'GET',
    path,
    signal,
  }: { readonly method?: 'GET' | 'POST'; readonly path: string; readonly signal: AbortSignal },
): AsyncGenerator<string> {
  const target = targetOf(where)
  const options = { method, signal }
  const answer = (await open(target, path, options)).setEncoding('utf8')
  const parts = answer.iterator()
  for (;;) {
    const part = await unlessEnded(parts.next(), target, options)
    if (part.done) return
    yield String(part.value)
  }
}

function targetOf(where: Where): Target {
  return where.url === undefined ? onSocket(where) : atUrl(where.url, where.token)
}

interface Target {
  readonly name: string
  readonly base: string
  readonly options: RequestOptions
}

function onSocket({ state }: Where): Target {
  const socketPath = state === undefined ? usualSocket() : adminSocket(resolve(state))
  return { name: socketPath, base: 'http://controller', options: { socketPath } }
}

function usualSocket(): string {
  const found = usualStates.map(adminSocket).find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new Unanswered(
    `no controller runs in ${usualStates.join(' or ')}; --state DIR names another state folder, --url an address`,
  )
}

function atUrl(url: string, token: string | undefined): Target {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new Fault(`--url ${url} is no http(s) address`)
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return { name: url, base: url.replace(/\/+$/, ''), options: { headers } }
}

/** An answer that is none of a refusal. */
async function open(target: Target, path: string, more: RequestOptions): Promise<IncomingMessage> {
  const { name, base, options } = target
  const request = base.startsWith('https:') ? requestHttps : requestHttp
  const opened = new Promise<IncomingMessage>((done, fail) => {
    request(base + path, { ...options, ...more, agent: false }, done)
      .once('error', fail)
      .end()
  })
  const answer = await unlessEnded(opened, target, more)
  const { statusCode: code = 0 } = answer
  if (code < 400) return answer
  throw new Fault(refusalOf(await unlessEnded(text(answer), target, more)) ?? `${name} answered ${code}`)
}

async function unlessEnded<T>(part: Promise<T>, { name }: Target, { signal }: RequestOptions): Promise<T> {
  try {
    return await part
  } catch (cause) {
    if (signal?.aborted) throw new Fault(`${name} has not answered in time`, { cause })
    throw new Unanswered(`no controller answers at ${name}`, { cause })
  }
}

function readJson(text: string, name: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new Fault(`${name} does not answer as a controller does`, { cause })
  }
}

function refusalOf(text: string): string | undefined {
  try {
    return Refused.safeParse(JSON.parse(text)).data?.error
  } catch {
    return undefined
  }
}
