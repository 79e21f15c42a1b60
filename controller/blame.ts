import { find, NotReady } from './gate.ts'
import { BuildFailed, HostDown } from './host.ts'
import type { FailureKind } from './journal/failures.ts'
import { RolledBack } from './retreat.ts'
import { BlobFault } from './source/git-blobs.ts'
import type { RunTarget } from './step.ts'
import type { World } from './world.ts'

/** How many of the last lines of output are kept of what failed. */
const lines = 20

/** What a build says that could not reach something outside, and may reach it the next time. */
const passing =
  /ETIMEDOUT|ECONNRESET|ECONNREFUSED|EAI_AGAIN|ENOTFOUND|socket hang up|temporary failure|temporarily unavailable|i\/o timeout|TLS handshake|connection (?:reset|refused|timed out)|\b50[0234] (?:Internal|Bad|Service|Gateway)/i

/** No fault of the commit: the host is down, or its files could not be read. */
export function isOurs(error: unknown): boolean {
  return error instanceof HostDown || error instanceof BlobFault
}

/** Keeps why a generation failed, with its last words, so that it is not tried again in vain; and removes what is left of it. */
export async function recordFailure(
  { server, generation }: RunTarget,
  error: unknown,
  world: World,
  signal: AbortSignal,
): Promise<void> {
  const { spec, origin } = generation
  const tail =
    error instanceof BuildFailed ? error.tail : await lastLines(server.name, spec, world, signal).catch(() => '')
  const said = saidOf(error)
  const log = [tail, ...(said === '' ? [] : [`its last answer: ${said}`])].filter((part) => part !== '').join('\n')
  const reason = error instanceof Error ? error.message : String(error)
  world.journal.fail({ server: server.name, spec, commit: origin, kind: kindOf(error), reason, log })
  const failed = find(await world.host.observe(signal), server.name, spec)
  if (failed !== undefined && failed.state !== 'running') await world.host.remove(failed.id, signal)
}

function saidOf(error: unknown): string {
  if (error instanceof NotReady) return error.said
  return error instanceof Error ? saidOf(error.cause) : ''
}

export function kindOf(error: unknown): FailureKind {
  if (error instanceof BuildFailed) return passing.test(`${error.message}\n${error.tail}`) ? 'build-transient' : 'build'
  if (error instanceof RolledBack) return 'rolled-back'
  return error instanceof NotReady ? 'unhealthy' : 'odd'
}

export async function lastLines(server: string, spec: string, { host }: World, signal: AbortSignal): Promise<string> {
  const failed = find(await host.observe(signal), server, spec)
  return failed === undefined ? '' : host.logs(failed.id, lines, signal)
}
