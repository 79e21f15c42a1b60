import type { Aim } from './aim.ts'
import { type Target, targetKey } from './generation.ts'
import type { Attempt } from './journal/failures.ts'
import { isSoon } from './patience.ts'

/** A server that an operator has rolled back, until the branch changes it. */
export interface Pin {
  /** The commit whose server runs instead. */
  readonly commit: string
  /** What the branch asked for when it was pinned, as `targetKey` names it. */
  readonly against: string
  /** ms since the epoch */
  readonly since: number
}

/** What operators want until they say otherwise; nothing of it is in the repository. */
export interface Intents {
  /** By server, `*` for all: since when, ms since the epoch. */
  readonly suspended: ReadonlyMap<string, number>
  readonly pins: ReadonlyMap<string, Pin>
}

export const everyServer = '*'

/** Pins that the branch has overtaken: it asks for something else now, or for nothing. */
export function overtaken({ targets }: Aim, { pins }: Intents): readonly string[] {
  return [...pins].flatMap(([server, { against }]) => {
    const target = targets[server]
    return target === undefined || targetKey(target) !== against ? [server] : []
  })
}

/** Pins whose generation failed, and not just for a moment: what the branch asks for serves on. */
export function failedPins(pinned: ReadonlyMap<string, Target>, failures: readonly Attempt[]): readonly Attempt[] {
  return failures.filter((failure) => {
    const target = pinned.get(failure.server)
    if (target?.kind !== 'run' || isSoon(failure)) return false
    return target.generation.spec === failure.spec && target.generation.origin === failure.commit
  })
}

/** The aim with what operators want: pinned servers as of their pins' commits, suspended ones named. Grants are the aim's own. Pure. */
export function intend(aim: Aim, intents: Intents, pinned: ReadonlyMap<string, Target>): Aim {
  const words = [...pinned.keys()].map((server) => {
    const commit = intents.pins.get(server)?.commit.slice(0, 12) ?? ''
    return [server, `rolled back to ${commit}, until its next change or "gateway resume ${server}"`] as const
  })
  return {
    ...aim,
    targets: { ...aim.targets, ...Object.fromEntries(pinned) },
    pinned: new Map(words),
    suspended: suspensions(aim, intents),
  }
}

function suspensions({ targets }: Aim, { suspended }: Intents): ReadonlyMap<string, string> {
  const all = suspended.get(everyServer)
  const names = all === undefined ? [...suspended.keys()] : Object.keys(targets)
  return new Map(
    names.map((server) => {
      const since = new Date(suspended.get(server) ?? all ?? 0).toISOString().replace(/\.\d+Z$/, 'Z')
      const verb = suspended.has(server) ? `gateway resume ${server}` : 'gateway resume --all'
      return [server, `suspended since ${since}: nothing is done to it until "${verb}"`] as const
    }),
  )
}
