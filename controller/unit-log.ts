import { suggestion } from './compile/nearest.ts'
import { Refused } from './controller.ts'
import { find } from './gate.ts'
import type { LogQuestion } from './log-question.ts'
import type { Narration } from './narration.ts'
import type { Means, Seen } from './reconcile.ts'

interface Unit {
  readonly id: string
  readonly name: string
  readonly startedAt: number
}

interface Place {
  readonly means: Means
  readonly seen: Seen
}

/** ms between two looks for what serves now. */
const lookEvery = 1_000

/** Last lines of what serves, or of what ran last; `gateway` is the newest proxy. Throws `Refused` where there is none. */
export async function readLog({ server, tail }: LogQuestion, place: Place, signal: AbortSignal): Promise<string> {
  return place.means.host.logs(unitOf(server, place).id, tail, signal)
}

/** The same and what is said from then on, by whatever takes its place too; ends with the signal. */
export function followLog(
  question: LogQuestion,
  place: () => Place,
  { signal, wait }: { readonly signal: AbortSignal; readonly wait: (limit: number) => Promise<void> },
): AsyncGenerator<string> {
  return follow(unitOf(question.server, place()))

  async function* follow(first: Unit): AsyncGenerator<string> {
    const { server, tail } = question
    let last: Unit | undefined
    let unit = first
    while (!signal.aborted) {
      const isNew = unit.id !== last?.id
      if (isNew && last !== undefined) yield `--- ${unit.name} serves now ---\n`
      if (isNew || unit.startedAt !== last?.startedAt)
        yield* place().means.host.follow(unit.id, isNew ? tail : 0, signal)
      last = unit
      await wait(lookEvery)
      unit = latest(server, place()) ?? unit
    }
  }
}

function unitOf(server: string, place: Place): Unit {
  const unit = latest(server, place)
  if (unit !== undefined) return unit
  const names = Object.keys(place.seen.aim.targets)
  if (!names.includes(server) && server !== 'gateway')
    throw new Refused(`no server "${server}"${suggestion(server, [...names, 'gateway'])}`)
  const runs = place.seen.aim.targets[server]?.kind === 'elsewhere'
  throw new Refused(runs ? `${server} runs elsewhere: its output is there` : `nothing of ${server} has run here yet`)
}

function latest(server: string, { means, seen: { sight } }: Place): Unit | undefined {
  if (server === 'gateway') return sight.proxies.toSorted((a, b) => rank(b) - rank(a) || b.startedAt - a.startedAt)[0]
  const spec = means.publisher.table?.servers[server]?.generation.split('@')[1]
  const serving = spec === undefined ? undefined : find(sight, server, spec)
  const all = sight.generations.filter((one) => one.server === server)
  return serving ?? all.toSorted((a, b) => b.startedAt - a.startedAt)[0]
}

function rank({ state }: { readonly state: string }): number {
  return Number(state === 'running')
}

/** Output of the last build of a server, or of the gateway's own image. Throws `Refused` where there was none. */
export function readBuildLog({ server, tail }: LogQuestion, { means, seen }: Place, narration: Narration): string {
  const lines = narration.lastBuild(server)
  if (lines !== undefined) return lines.slice(-tail).join('\n')
  const failed = means.journal.failures().find((one) => one.server === server && one.kind.startsWith('build'))
  if (failed !== undefined) return failed.log
  const names = [...Object.keys(seen.aim.targets), 'gateway']
  if (!names.includes(server)) throw new Refused(`no server "${server}"${suggestion(server, names)}`)
  throw new Refused(`${server} has not been built since this controller started`)
}
