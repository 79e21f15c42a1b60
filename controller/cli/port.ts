import { once } from 'node:events'
import { createServer } from 'node:net'
import { z } from 'zod'
import type { Address } from '../config/variable.ts'
import { Fault } from './fault.ts'

const Health = z.object({ status: z.string(), revision: z.number() })
const answerWithin = 1_000

/** Throws a Fault where something else listens. A gateway may: one that outlived its controller is taken over. */
export async function demandFree(listen: Address, left: 'nothing' | 'gateway'): Promise<void> {
  const code = await tryListen(listen)
  if (code === undefined || (left === 'gateway' && (await isGateway(listen)))) return
  const what = code === 'EADDRINUSE' ? 'is in use' : `cannot be listened at (${code})`
  throw new Fault(`port ${listen.port} of ${listen.host} ${what}; --port N chooses another, and N+10 with it`)
}

async function tryListen({ host, port }: Address): Promise<string | undefined> {
  const server = createServer()
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
    return undefined
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error)
  } finally {
    server.close()
  }
}

async function isGateway(listen: Address): Promise<boolean> {
  try {
    const answer = await fetch(`${addressOf(listen)}/health`, { signal: AbortSignal.timeout(answerWithin) })
    return Health.safeParse(await answer.json()).success
  } catch {
    return false
  }
}

/** How a program on this machine reaches what listens there. */
export function addressOf({ host, port }: Address): string {
  if (host === '0.0.0.0' || host === '::') return `http://127.0.0.1:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}
