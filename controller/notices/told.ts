import type { NoticeKind } from '#manifests/gateway.ts'
import type { Status } from '#manifests/status.ts'
import { type Notice, troublesOf } from './notice.ts'

/** What people were told of and has not ended, by subject: the reason that was told. */
export type Told = ReadonlyMap<string, { readonly kind: NoticeKind; readonly reason: string }>

/** What is wrong and not yet told, by subject, with when it began, ms since the epoch. */
export type Noted = ReadonlyMap<string, number>

export interface Telling {
  readonly notices: readonly Notice[]
  readonly told: Told
  readonly noted: Noted
}

/**
 * What is to be told now, from what is so and what was told before: each trouble once, again when its reason becomes another,
 * and once that it is over. Pure; the same again tells nothing.
 */
export function tell(status: Status, before: Omit<Telling, 'notices'>, now: number): Telling {
  const { troubles, isOnItsWay } = troublesOf(status)
  const noted = new Map(troubles.map(({ subject }) => [subject, before.noted.get(subject) ?? now]))
  const due = troubles.filter(({ subject, reason, after }) => {
    const said = before.told.get(subject)
    if (said !== undefined) return said.reason !== reason
    return now - (noted.get(subject) ?? now) >= after
  })
  const standing = new Set(troubles.map(({ subject }) => subject))
  const over = [...before.told.keys()].filter(
    (subject) => !standing.has(subject) && !(isOnItsWay && !isOutside(subject)),
  )
  const told = new Map(before.told)
  for (const subject of over) told.delete(subject)
  for (const { subject, kind, reason } of due) told.set(subject, { kind, reason })
  return {
    notices: [...due.map(({ kind, subject, reason }) => notice(kind, subject, reason)), ...over.map(recovery)],
    told,
    noted,
  }

  function recovery(subject: string): Notice {
    return notice('recovered', subject, `${subject} is well again (it was: ${before.told.get(subject)?.reason ?? ''})`)
  }

  function notice(kind: NoticeKind, subject: string, text: string): Notice {
    const commit = status.attempted === undefined ? {} : { commit: status.attempted.commit }
    return { kind, instance: status.instance, subject, text, ...commit, at: new Date(now).toISOString() }
  }
}

/** Of these, a commit on its way says nothing. */
function isOutside(subject: string): boolean {
  return subject === 'repository' || subject === 'host'
}
