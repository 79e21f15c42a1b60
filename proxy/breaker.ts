import { Refusal } from './refusal.ts'
import type { Target } from './table.ts'
import { type Head, type Sending, UpstreamFailed } from './transfer.ts'
import type { Upstreams } from './upstream.ts'

/** Failures in a row after which an upstream is let alone, and how long they must have gone on, ms: calls wait for one that starts again. */
const mostFailures = 5
const leastOutage = 4_000
const firstPause = 1_000
/** An hour's outage under load is 150 requests with it; what nobody waits for leaves as much time after any try. */
const longestPause = 40_000
/** So long may a try take before another one is made, ms. */
const tryLimit = 10_000
/** Requests that may be sent again: so many in advance, and one more for so many that were answered. */
const retriesAhead = 1_000
const answersForRetry = 10
/** What did not fail again for so long is forgotten, ms. */
const forgetAfter = 3_600_000

/** An upstream that was not reached of late. */
interface Circuit {
  failures: number
  /** Of those in a row. */
  firstFailure: number
  /** When it may be tried again by who waits for it; 0 while it is not let alone. */
  until: number
  /** In vain, one soon after the other, by who waits for it. */
  tries: number
  /** When the last try began, and until when it may take; 0 once it is over. */
  triedAt: number
  tryingUntil: number
  retries: number
  failedAt: number
}

/**
 * Upstreams of which one that was not reached again and again is let alone for a while: requests to it are refused at once, until one
 * of them, and only that one, has tried whether it is back. The pauses grow with those that somebody waits for: the first after a quiet
 * time tries at once. An answer counts as reached, whatever it says, so that refused access is neither tried nor sent again. `now` is
 * in ms.
 */
export function withBreaker<T extends Pick<Upstreams, 'send'>>(upstreams: T, now = () => performance.now()): T {
  const circuits = new Map<string, Circuit>()
  const find = (target: Target) => (circuits.size === 0 ? undefined : circuits.get(keyOf(target)))
  const open = (key: string): Circuit => {
    for (const [other, { failedAt }] of circuits) if (now() - failedAt > forgetAfter) circuits.delete(other)
    const none = { failures: 0, firstFailure: 0, until: 0, tries: 0, triedAt: 0, tryingUntil: 0 }
    const circuit = { ...none, retries: retriesAhead, failedAt: now() }
    circuits.set(key, circuit)
    return circuit
  }
  const send: Upstreams['send'] = async (sending, receive) => {
    const { target } = sending
    const isTry = isGuarded(target) && admit(find(target), sending, now())
    let reached = false
    const heard = (head: Head) => {
      reached = true
      const circuit = find(target)
      if (circuit !== undefined && succeed(circuit)) circuits.delete(keyOf(target))
      return receive(head)
    }
    try {
      return await upstreams.send(sending, heard)
    } catch (error) {
      if (reached || !isGuarded(target)) throw error
      throw fail(find(target) ?? open(keyOf(target)), { error, isTry, now: now(), sending })
    }
  }
  return { ...upstreams, send }
}

/** Another address is another upstream. */
function keyOf({ generation, origin }: Target): string {
  return `${generation} ${origin}`
}

/** One that starts, or only finishes what it has, is asked whatever it does; an answer of it counts all the same. */
function isGuarded({ asked }: Target): boolean {
  return asked === 'seldom'
}

/** For what nobody waits for: it is refused for longer, and puts off nobody who does. */
export function asRoutine<T extends Pick<Upstreams, 'send'>>(upstreams: T): T {
  return { ...upstreams, send: (sending, receive) => upstreams.send({ ...sending, routine: true }, receive) }
}

/** Whether a request is the one that tries; throws a `Refusal` while there is one, or none is due. */
function admit(circuit: Circuit | undefined, { target: { server }, routine }: Sending, now: number): boolean {
  if (circuit === undefined || circuit.until === 0) return false
  const due = routine ? circuit.triedAt + longestPause : circuit.until
  const wait = Math.max(due, circuit.tryingUntil) - now
  if (wait > 0) throw new Refusal('resting', { server, seconds: String(Math.ceil(wait / 1_000)) })
  // Nobody has asked for long.
  if (!routine && now - circuit.until > longestPause) circuit.tries = 0
  circuit.triedAt = now
  circuit.tryingUntil = now + tryLimit
  return true
}

/** Whether nothing is left to remember. */
function succeed(circuit: Circuit): boolean {
  circuit.failures = 0
  circuit.until = 0
  circuit.tryingUntil = 0
  circuit.retries += 1 / answersForRetry
  return circuit.retries >= retriesAhead
}

function count(circuit: Circuit, now: number): void {
  if (circuit.failures++ === 0) circuit.firstFailure = now
  if (circuit.failures < mostFailures || now - circuit.firstFailure < leastOutage) return
  circuit.tries = 0
  circuit.triedAt = now
  circuit.until = now + pauseAfter(0)
}

/** A connection that fails has a code; one that is given up because the server is replaced has none, and says nothing of it. */
function isCut({ cause }: UpstreamFailed): boolean {
  return cause instanceof Error && 'code' in cause
}

interface Failure {
  readonly error: unknown
  readonly isTry: boolean
  readonly now: number
  readonly sending: Sending
}

/** What is to be thrown. Who sent before it was let alone says nothing new of it. */
function fail(circuit: Circuit, { error, isTry, now, sending }: Failure): unknown {
  // Where whoever tried went away, the next one may.
  if (isTry) circuit.tryingUntil = 0
  if (!(error instanceof UpstreamFailed) || !isCut(error)) return error
  circuit.failedAt = now
  if (circuit.until === 0) count(circuit, now)
  else if (isTry && !sending.routine) circuit.until = now + pauseAfter(++circuit.tries)
  if (error.sent) return error
  circuit.retries = Math.max(0, circuit.retries - 1)
  return circuit.retries > 0 ? error : new UpstreamFailed(sending.target, true, error.cause)
}

/** Proxies that were refused together do not come again together. */
function pauseAfter(tries: number): number {
  return Math.min(longestPause, firstPause * 2 ** tries) * (0.8 + 0.2 * Math.random())
}
