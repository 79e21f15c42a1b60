import type { Logger } from 'pino'
import type { Definition } from '#manifests/definition.ts'
import { indexNames, type NameIndex, type Namesake } from '#manifests/mention.ts'
import type { GenerationReport } from '#manifests/table.ts'
import { clashesIn } from './clash.ts'
import { driftOf, type PinIndex } from './pinning.ts'
import type { Probes } from './probe.ts'
import { suspicionsIn } from './suspicions.ts'
import type { Snapshot, Target } from './table.ts'

export type Found = Pick<GenerationReport, 'drift' | 'suspicions' | 'clashes'>

/** What is to be said of each generation: which tools differ from what is pinned or say what they should not, what cannot be reached. */
export interface Inspection {
  /** Looks at all that is known anew in a moment, and logs and tells what is new of it. */
  soon(snapshot: Snapshot): void
  of(generation: string): Found
}

export interface InspectionMeans {
  readonly probes: Pick<Probes, 'known'>
  readonly log: Logger
  /** Called when there is something else to say. */
  readonly changed: () => void
}

/** Between two looks, ms: agents do not wait for what is only reported. */
const pause = 200
/** Of each kind and generation, so that no server can fill a report. */
const most = 50

export function createInspection({ probes, log, changed }: InspectionMeans): Inspection {
  let looked: Looked = new Map()
  let names: readonly Namesake[] = []
  let index = indexNames(names)
  let latest: Snapshot | undefined
  let clashes: Clashes = new Map()
  const review = (snapshot: Snapshot) => {
    const now = namesakes(snapshot, probes)
    if (!isSame(names, now)) {
      names = now
      index = indexNames(now)
    }
    const before = looked
    looked = inspectAll(snapshot, { probes, index, before })
    const news = [...snapshot.targets.values()].filter((target) => tell(log, target, before, looked))
    const clashed = clashes
    clashes = clashesIn(snapshot, (generation) => probes.known(generation))
    if (tellClashes(log, clashed, clashes) || news.length > 0) changed()
  }
  return {
    soon: (snapshot) => {
      if (latest === undefined)
        setTimeout(() => {
          const due = latest
          latest = undefined
          if (due !== undefined) review(due)
        }, pause).unref()
      latest = snapshot
    },
    of: (generation) => ({ ...looked.get(generation)?.found, ...clashesOf(clashes, generation) }),
  }
}

type Clashes = ReturnType<typeof clashesIn>

function clashesOf(clashes: Clashes, generation: string): Pick<Found, 'clashes'> {
  const own = clashes.get(generation)
  return own === undefined ? {} : { clashes: [...own] }
}

/** Logs what is new of them; whether anything is other than before. */
function tellClashes(log: Logger, before: Clashes, after: Clashes): boolean {
  for (const [generation, now] of after)
    for (const clash of newOf(before.get(generation), now))
      log.warn({ generation, ...clash }, 'a name at the joint endpoint is taken already')
  return JSON.stringify([...before]) !== JSON.stringify([...after])
}

const toolSets = new WeakMap<readonly Definition[], ReadonlySet<string>>()

function toolSetOf(definitions: readonly Definition[]): ReadonlySet<string> {
  const known = toolSets.get(definitions) ?? new Set(definitions.map(({ name }) => name))
  toolSets.set(definitions, known)
  return known
}

function namesakes(snapshot: Snapshot, probes: Pick<Probes, 'known'>): readonly Namesake[] {
  return [...snapshot.servers].flatMap(([server, { generation, prefix }]) => {
    const definitions = probes.known(generation)?.definitions
    return definitions === undefined ? [] : [{ server, prefix, tools: toolSetOf(definitions) }]
  })
}

function isSame(before: readonly Namesake[], after: readonly Namesake[]): boolean {
  const isEqual = (a: Namesake, b: Namesake | undefined) =>
    a.server === b?.server && a.prefix === b.prefix && a.tools === b.tools
  return before.length === after.length && before.every((one, at) => isEqual(one, after[at]))
}

/** What was looked at of a generation, and found. */
interface Look {
  readonly definitions: readonly Definition[] | undefined
  readonly pins: PinIndex | undefined
  readonly index: NameIndex
  readonly found: Found
}

type Looked = ReadonlyMap<string, Look>

interface Looking {
  readonly probes: Pick<Probes, 'known'>
  readonly index: NameIndex
  readonly before: Looked
}

/** Of a generation that does not answer, what was last found. */
function inspectAll(snapshot: Snapshot, { probes, index, before }: Looking): Looked {
  const all = [...snapshot.targets.values()].map((target): readonly [string, Look] => {
    const { generation, pins } = target
    const definitions = probes.known(generation)?.definitions
    const last = before.get(generation)
    const isSameLook = last?.definitions === definitions && last?.pins === pins && last?.index === index
    if (last !== undefined && (definitions === undefined || isSameLook)) return [generation, last]
    const found = definitions === undefined ? {} : inspect(target, definitions, index)
    return [generation, { definitions, pins, index, found }]
  })
  return new Map(all)
}

function inspect({ server, pins }: Target, definitions: readonly Definition[], index: NameIndex): Found {
  const drift = pins === undefined ? [] : driftOf(pins, definitions).slice(0, most)
  const suspicions = suspicionsIn(definitions, { server, pins, index }).slice(0, most)
  return { ...(drift.length > 0 && { drift }), ...(suspicions.length > 0 && { suspicions }) }
}

/** Logs what is new of a generation; whether anything is other than before. */
function tell(log: Logger, { generation, server, pins }: Target, before: Looked, after: Looked): boolean {
  const [was, now] = [before.get(generation)?.found ?? {}, after.get(generation)?.found ?? {}]
  if (was === now) return false
  for (const { tool, change, hash } of newOf(was.drift, now.drift)) {
    const about = { server, tool, change, ...hashesOf(pins, tool, hash), mode: pins?.mode }
    log.warn(about, 'a tool differs from tools.lock.yaml')
  }
  for (const suspicion of newOf(was.suspicions, now.suspicions))
    log.warn({ server, ...suspicion }, 'a tool says what it should not')
  return JSON.stringify(was) !== JSON.stringify(now)
}

function newOf<T>(before: readonly T[] = [], after: readonly T[] = []): readonly T[] {
  const known = new Set(before.map((one) => JSON.stringify(one)))
  return after.filter((one) => !known.has(JSON.stringify(one)))
}

function hashesOf(pins: PinIndex | undefined, tool: string, now: string | undefined) {
  const old = pins?.tools.get(tool)?.hash
  return { ...(old === undefined ? {} : { old }), ...(now === undefined ? {} : { new: now }) }
}
