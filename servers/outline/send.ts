import { ToolFailure } from '../kit/tool.ts'

export interface Letter {
  readonly url: string
  readonly key: string
  readonly body: string | undefined
  /** ms for all of it. */
  readonly limit: number
  readonly signal?: AbortSignal | undefined
}

export interface Reply {
  readonly status: number
  /** `application/json`, without parameters. */
  readonly type: string
  readonly text: string
  /** Where a redirect leads, without what follows the path: it may hold a ticket. */
  readonly location: string | undefined
  /** ms that the other side wants to be left alone. */
  readonly wait: number | undefined
  readonly host: string
}

/** 25 documents as long as Outline allows fit, unless all are in letters of three bytes. */
const mostBytes = 40 * 1024 * 1024

/**
 * Posts JSON, and follows no redirect: the key is for one host alone.
 * @throws ToolFailure when there is no whole answer; the signal's reason when the caller is gone.
 */
export async function send({ url, key, body, limit, signal }: Letter): Promise<Reply> {
  const late = AbortSignal.timeout(Math.max(1, Math.floor(limit)))
  const { host } = new URL(url)
  const type = body === undefined ? {} : { 'content-type': 'application/json' }
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, accept: 'application/json', ...type },
      redirect: 'manual',
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
      ...(body === undefined ? {} : { body }),
    })
    return { ...headOf(response, url), host, text: await readText(response) }
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof ToolFailure) throw error
    if (late.aborted) throw new ToolFailure(`${host} did not answer within ${limit / 1_000} s. Try again later.`)
    throw new ToolFailure(describe(error, host), { cause: error })
  }
}

function headOf({ status, headers }: Response, url: string): Omit<Reply, 'text' | 'host'> {
  const location = headers.get('location') ?? undefined
  return {
    status,
    type: (headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '',
    location: location !== undefined && URL.canParse(location, url) ? bare(new URL(location, url)) : undefined,
    wait: waitOf(headers.get('retry-after')) ?? waitOf(headers.get('ratelimit-reset')),
  }
}

function bare({ origin, pathname }: URL): string {
  return origin + pathname
}

/** Seconds or a date (RFC 9110, 10.2.3) as ms; at least a second, so that nobody is asked without pause. */
function waitOf(header: string | null): number | undefined {
  if (header === null) return undefined
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(1_000, ms)
}

async function readText({ body }: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of body ?? []) {
    size += part.byteLength
    if (size > mostBytes) throw new ToolFailure('Outline’s answer is too large. Ask for fewer at once (limit).')
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function describe(error: unknown, host: string): string {
  const { code, message } = causeOf(error)
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `There is no host ${host} (${code}). Whoever runs this server must look at OUTLINE_API_URL and its network.`
    case 'ECONNREFUSED':
      return `Nothing listens at ${host}: Outline is down, or OUTLINE_API_URL is wrong. Try again later.`
    default:
      if (/CERT|ALTNAME|SELF_SIGNED|ISSUER|UNABLE_TO_VERIFY/.test(code))
        return `The certificate of ${host} is not trusted (${code}). Whoever runs this server names the authority’s certificate in NODE_EXTRA_CA_CERTS.`
      return `The connection to ${host} failed (${code || message}). Try again later.`
  }
}

/** fetch says "fetch failed" and keeps the reason behind it, in an error for each address if there are several. */
function causeOf(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof AggregateError) return causeOf(error.errors[0])
  if (!(error instanceof Error)) return { code: '', message: String(error) }
  if (error.cause instanceof Error) return causeOf(error.cause)
  return { code: 'code' in error ? String(error.code) : '', message: error.message }
}
