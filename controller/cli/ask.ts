import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Command, Option } from 'commander'
import { Agent, type Dispatcher, request } from 'undici'
import { z } from 'zod'
import { adminSocket } from '../admin.ts'
import { Fault } from './fault.ts'

/** How a verb reaches the controller: the socket in a state folder, or an address with the operator token. */
export interface Where {
  readonly state?: string | undefined
  readonly url?: string | undefined
  readonly token?: string | undefined
}

/** Where controllers keep their state when nobody says otherwise: `npm start` of this checkout, and a machine's own. */
export const usualStates = [fileURLToPath(new URL('../../.gateway', import.meta.url)), '/var/lib/gateway']

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
  const target = where.url === undefined ? onSocket(where) : atUrl(where.url, where.token)
  try {
    const { statusCode, body } = await request(target.base + path, {
      method,
      headers: target.headers,
      dispatcher: target.dispatcher,
      headersTimeout: within,
      bodyTimeout: within,
    }).catch((cause: unknown) => {
      throw new Fault(`no controller answers at ${target.name}`, { cause })
    })
    const text = await body.text()
    if (statusCode >= 400) throw new Fault(refusalOf(text) ?? `${target.name} answered ${statusCode}`)
    return readJson(text, target.name)
  } finally {
    await target.dispatcher.destroy()
  }
}

interface Target {
  readonly name: string
  readonly base: string
  readonly headers: Readonly<Record<string, string>>
  readonly dispatcher: Dispatcher
}

function onSocket({ state }: Where): Target {
  const socketPath = state === undefined ? usualSocket() : adminSocket(resolve(state))
  return {
    name: socketPath,
    base: 'http://controller',
    headers: {},
    dispatcher: new Agent({ connect: { socketPath } }),
  }
}

function usualSocket(): string {
  const found = usualStates.map(adminSocket).find((path) => existsSync(path))
  if (found !== undefined) return found
  throw new Fault(
    `no controller runs in ${usualStates.join(' or ')}; --state DIR names another state folder, --url an address`,
  )
}

function atUrl(url: string, token: string | undefined): Target {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new Fault(`--url ${url} is no http(s) address`)
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return { name: url, base: url.replace(/\/+$/, ''), headers, dispatcher: new Agent() }
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
