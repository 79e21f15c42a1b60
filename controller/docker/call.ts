import { z } from 'zod'
import { HostDown } from '../host.ts'
import { orAbort } from '../or-abort.ts'
import { EngineRefusal } from './engine.ts'

const Refused = z.object({ statusCode: z.number(), message: z.string() })
const Unreached = z.object({ code: z.string(), address: z.string() })

/** One call of the engine, ended by the signal or after `limit` ms. Throws `EngineRefusal`, or `HostDown` when there is no answer. */
export async function ask<T>(
  signal: AbortSignal,
  call: (limited: AbortSignal) => Promise<T>,
  limit = 30_000,
): Promise<T> {
  signal.throwIfAborted()
  const limited = AbortSignal.any([signal, AbortSignal.timeout(limit)])
  try {
    return await orAbort(call(limited), limited)
  } catch (error) {
    signal.throwIfAborted()
    throw error instanceof HostDown ? error : refusalOf(error)
  }
}

/** A call that only reads: an engine that fails at it is down, and nothing is concluded from its answer. */
export async function look<T>(signal: AbortSignal, call: (limited: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await ask(signal, call)
  } catch (error) {
    if (error instanceof EngineRefusal && error.status >= 500)
      throw new HostDown(`the Docker engine fails: ${error.message}`, { cause: error })
    throw error
  }
}

/** The value instead of the refusal with this status. */
export async function either<T, U>(status: number, asked: Promise<T>, value: U): Promise<T | U> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof EngineRefusal && error.status === status) return value
    throw error
  }
}

/** Undefined for what the engine does not know. */
export function absent<T>(asked: Promise<T>): Promise<T | undefined> {
  return either(404, asked, undefined)
}

function refusalOf(error: unknown): Error {
  const refused = Refused.safeParse(error)
  if (refused.success) {
    const words = refused.data.message.replace(/^\(HTTP code \d+\) .*? - /, '').trim()
    return new EngineRefusal(refused.data.statusCode, words, error)
  }
  return new HostDown(whyUnreached(error), { cause: error })
}

function whyUnreached(error: unknown): string {
  const unreached = Unreached.safeParse(error).data
  switch (unreached?.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return `no Docker engine answers at ${unreached.address}; start it, or name its socket in DOCKER_HOST; tried again by itself`
    case 'EACCES':
      return `this user may not use the Docker engine at ${unreached.address}; add it to the group that owns the socket`
    default:
      return `the Docker engine does not answer: ${error instanceof Error ? error.message : error}`
  }
}
