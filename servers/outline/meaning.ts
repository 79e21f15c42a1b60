import { log } from '../kit/log.ts'
import { ToolFailure } from '../kit/tool.ts'
import { Refusal } from './answers.ts'
import type { Reply } from './send.ts'

/** In words that say what to do, by status. */
export type Meaning = Readonly<Partial<Record<400 | 403 | 404 | 409, string>>>

/** Outline said no. */
export class Refused extends ToolFailure {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** As much of a zod schema as is used here. */
export interface Shape<Data> {
  safeParse(value: unknown): { data?: Data; error?: { readonly message: string } }
}

interface Heard<Data> {
  readonly reply: Reply
  readonly method: string
  readonly answer: Shape<Data>
  readonly meaning: Meaning
}

const operator = 'Whoever runs this server must look at OUTLINE_API_URL.'

/** The data of a good answer. @throws ToolFailure for any other; `Refused` where it comes from Outline. */
export function understand<Data>({ reply, method, answer, meaning }: Heard<Data>): Data {
  const { status, host } = reply
  if (status >= 300 && status < 400)
    throw new ToolFailure(
      `${host} sends its callers on to ${reply.location ?? 'nowhere'}, as a login page or a moved wiki does. ${operator}`,
    )
  const body = read(reply)
  if (status >= 200 && status < 300) return shaped({ reply, method, answer, meaning }, body)
  const { data: refusal = { error: '', message: '' } } = Refusal.safeParse(body)
  throw new Refused(status, explain(status, { ...refusal, method, meaning }))
}

function read({ status, type, text, host }: Reply): unknown {
  try {
    if (type === 'application/json') return JSON.parse(text)
  } catch {
    throw new ToolFailure(`${host} answered ${status} with broken JSON. Try again later.`)
  }
  const what = `${host} answered ${status} with ${type === 'text/html' ? 'a web page' : type || 'nothing that it names'}, not as Outline does:`
  if (status >= 500) throw new ToolFailure(`${what} it, or a proxy before it, has a fault. Try again later.`)
  throw new ToolFailure(`${what} something else is there, or a login before it. ${operator}`)
}

function shaped<Data>({ method, answer }: Heard<Data>, body: unknown): Data {
  const { data, error } = answer.safeParse(body)
  if (data !== undefined) return data
  log.error({ method, reason: error?.message }, 'answer not understood')
  throw new ToolFailure(`Outline’s answer to ${method} is not as its contract says; this server’s log says where.`)
}

interface Told {
  readonly error: string
  readonly message: string
  readonly method: string
  readonly meaning: Meaning
}

function explain(status: number, { error, message, method, meaning }: Told): string {
  const said = (message || error || `status ${status}`).replaceAll(/\s+/g, ' ').slice(0, 300)
  switch (status) {
    case 400:
      return meaning[400] ?? `Outline does not take this: ${said}`
    case 401:
      return 'Outline refuses this server’s key: it is wrong, revoked or expired. Whoever runs the server must give it another (OUTLINE_API_KEY).'
    case 403:
      if (said.startsWith('API key'))
        return `The scopes of this server’s key do not allow ${method}. Whoever runs the server must give it a key that may (OUTLINE_API_KEY).`
      return meaning[403] ?? `Outline does not allow this to the owner of the key: ${said}`
    case 404:
      return meaning[404] ?? `Outline does not have this: ${said}`
    case 409:
      return meaning[409] ?? `Outline sees a conflict: ${said}`
    case 413:
      return 'This is too large for Outline, or for a proxy before it. Make it smaller.'
    default:
      return status >= 500
        ? `Outline has a fault of its own (${status}: ${said}). Try again later.`
        : `Outline answers ${status}: ${said}`
  }
}
