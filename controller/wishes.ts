import { nearest } from './compile/nearest.ts'
import { Refused } from './controller.ts'
import { targetKey } from './generation.ts'
import { HostDown } from './host.ts'
import { everyServer } from './intents.ts'
import { pinnedTargets } from './pinned.ts'
import type { Means, Seen } from './reconcile.ts'

/** What operators ask for: each only changes what is remembered, and the next pass makes it so. */
export interface Office {
  readonly means: Means
  readonly seen: Seen
}

/** Lets a part of the commit be applied that is held. */
export function approve(plan: string, { means, seen }: Office): void {
  const { held = [] } = seen.aim
  const names = held.map((one) => `${one.plan} (${one.what})`).join(', ')
  const part = held.find((one) => one.plan === plan)
  if (part === undefined)
    throw new Refused(`nothing is held that is called ${plan} (${names === '' ? 'nothing is held' : `held: ${names}`})`)
  means.journal.approve(plan)
  means.log.info({ plan, what: part.what }, 'approved')
  const { current } = means.chronicle
  const line = `${new Date().toISOString()} ${plan} ${part.what}`
  if (current?.commit === seen.aim.commit) means.chronicle.tell({ approved: [...(current.approved ?? []), line] })
}

export function suspend(server: string, { means, seen }: Office): void {
  if (server !== everyServer) mustKnow(server, seen)
  means.journal.suspend(server)
  means.log.info({ server }, 'suspended')
}

export function resume(server: string, { means }: Office): void {
  const { suspended, pins } = means.journal.intents()
  if (server === everyServer) for (const name of [...suspended.keys(), ...pins.keys()]) means.journal.release(name)
  else if (suspended.has(server) || pins.has(server)) means.journal.release(server)
  else if (suspended.has(everyServer))
    throw new Refused(`all servers are suspended: "gateway resume --all" ends that, and no server is suspended alone`)
  else throw new Refused(`${server} is neither suspended nor rolled back`)
  means.log.info({ server }, 'resumed')
}

/** Forgets that a server failed, how often it was started again, and what it was changed back and forth between. */
export function retry(server: string, { means, seen }: Office): void {
  mustKnow(server, seen)
  means.journal.recover(server)
  means.journal.forgetMoves(server)
  means.log.info({ server }, 'to be tried again')
}

/** Aims a server at what an earlier commit had; gives that commit. */
export async function rollBack(
  { server, to }: { readonly server: string; readonly to: string | undefined },
  { means, seen }: Office,
  signal: AbortSignal,
): Promise<{ readonly commit: string }> {
  mustKnow(server, seen)
  const commit = to === undefined ? keptCommit(server, seen) : fullCommit(to, means)
  const against = means.journal.intents().pins.get(server)?.against ?? targetKey(mustKnow(server, seen))
  if (against === undefined) throw new Refused(`${server} waits for something itself: ${reasonOf(server, seen)}`)
  const pin = { commit, against, since: 0 }
  const machine = await means.machine()
  const pinned = await pinnedTargets(
    { suspended: new Map(), pins: new Map([[server, pin]]) },
    { ...means, machine },
    signal,
  )
  const target = pinned.get(server)
  if (target === undefined) throw new Refused(`commit ${commit.slice(0, 12)} has no server ${server}, or has errors`)
  if (target.kind === 'held') throw new Refused(`${server} of ${commit.slice(0, 12)} cannot run: ${target.because}`)
  if (targetKey(target) === targetKey(mustKnow(server, seen)))
    throw new Refused(`${server} is already as ${commit.slice(0, 12)} has it`)
  means.journal.pin(server, pin)
  means.journal.recover(server)
  means.log.info({ server, commit }, 'rolled back')
  return { commit }
}

function mustKnow(server: string, { aim }: Seen) {
  const target = aim.targets[server]
  if (target !== undefined) return target
  const names = Object.keys(aim.targets)
  const near = nearest(server, names)
  const hint = near === undefined ? `there are: ${names.join(', ') || 'none'}` : `did you mean "${near}"?`
  throw new Refused(`no server "${server}" (${hint})`)
}

function reasonOf(server: string, { aim }: Seen): string {
  const target = aim.targets[server]
  return target?.kind === 'held' ? target.because : 'it has no generation'
}

/** The first commit that asked for the generation that is kept ready. */
function keptCommit(server: string, { aim, sight, absent }: Seen): string {
  const wanted = aim.targets[server]
  const others = sight.generations
    .filter((one) => one.server === server && (wanted?.kind !== 'run' || one.spec !== wanted.generation.spec))
    .toSorted((a, b) => b.startedAt - a.startedAt)
  const [kept] = others
  if (kept !== undefined) return kept.origin
  if (absent.size > 0 && sight.generations.length === 0) throw new HostDown('nothing was seen on the host yet')
  throw new Refused(`no other generation of ${server} is kept: name a commit with --to`)
}

function fullCommit(to: string, { journal }: Means): string {
  if (!/^[0-9a-f]{7,64}$/.test(to)) throw new Refused(`--to ${to} is no commit: 7 to 64 hex digits`)
  if (to.length === 40 || to.length === 64) return to
  const found = journal.history(10_000).filter(({ commit }) => commit.startsWith(to))
  const [one, other] = found
  if (one === undefined) throw new Refused(`no commit of this branch that was seen begins with ${to}`)
  if (other !== undefined) throw new Refused(`several commits begin with ${to}: name more of it`)
  return one.commit
}
