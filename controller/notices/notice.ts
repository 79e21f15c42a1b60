import { z } from 'zod'
import { NoticeKind } from '#manifests/gateway.ts'
import type { Status } from '#manifests/status.ts'

/** Something that people should know of. */
export interface Trouble {
  readonly kind: Exclude<NoticeKind, 'recovered'>
  /** What it concerns, in words: `commit`, `server outline`, `repository`, `host`. One trouble each. */
  readonly subject: string
  readonly reason: string
  /** How long it must last before anybody is told, ms. */
  readonly after: number
}

/** One message, as it is sent. */
export const Notice = z.object({
  kind: NoticeKind,
  instance: z.string(),
  subject: z.string(),
  text: z.string(),
  /** Head of the branch. */
  commit: z.string().optional(),
  /** ISO 8601. */
  at: z.string(),
})
export type Notice = Readonly<z.infer<typeof Notice>>

/** What passes by itself in most cases is not told at once, ms. */
const brief = 60_000
const long = 5 * 60_000

/** What is wrong now. A commit on its way is neither right nor wrong: undefined for what is said of commits. Pure. */
export function troublesOf(status: Status): { readonly troubles: readonly Trouble[]; readonly isOnItsWay: boolean } {
  const { attempted } = status
  const commit = attempted === undefined ? [] : commitTrouble(attempted)
  const isOnItsWay = attempted === undefined || ['seen', 'verified', 'planned', 'applying'].includes(attempted.phase)
  return { troubles: [...commit, ...status.servers.flatMap(serverTrouble), ...outsideTroubles(status)], isOnItsWay }
}

function commitTrouble({ commit, phase, reason, errors }: NonNullable<Status['attempted']>): Trouble[] {
  const subject = 'commit'
  const name = commit.slice(0, 12)
  if (phase === 'held') return [{ kind: 'held', subject, reason: `${name} is held: ${reason}`, after: 0 }]
  if (phase !== 'degraded' && phase !== 'rejected') return []
  const first = errors[0] === undefined ? '' : `: ${errors[0]}`
  return [{ kind: 'degraded', subject, reason: `${name} is ${phase}: ${reason}${first}`, after: 0 }]
}

function serverTrouble({ name, phase, reason }: Status['servers'][number]): Trouble[] {
  const subject = `server ${name}`
  if (phase === 'stalled') return [{ kind: 'stalled', subject, reason, after: 0 }]
  return phase === 'waiting' ? [{ kind: 'degraded', subject, reason, after: brief }] : []
}

function outsideTroubles({ source, host }: Status): Trouble[] {
  const down = (subject: string, { ok, reason }: { ok: boolean; reason: string }): Trouble[] =>
    ok ? [] : [{ kind: 'degraded', subject, reason, after: long }]
  return [...down('repository', source), ...down('host', host)]
}
