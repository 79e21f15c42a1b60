import type { Tree } from '../desired.ts'
import type { Origin } from '../guides.ts'
import { type Held, heldPlan, howToRelease } from '../held.ts'
import type { Journal } from '../journal/journal.ts'
import type { Unsigned } from './judge.ts'

/** A commit as far as it may be compiled, and what of it waits for a signature. */
export interface Trusted {
  readonly tree: Tree
  readonly held: readonly Held[]
}

/** Paths that are told one by one. */
const mostTold = 5

/** What says who signed what, what was applied last, and what operators have approved. */
interface Registry {
  readonly source: Pick<Origin, 'vet'>
  readonly journal: Pick<Journal, 'accepted' | 'approvals'>
}

/** Vets a commit by the last one that was applied whole; what an operator has approved needs no signature. */
export async function trusted(
  { source, journal }: Registry,
  head: Tree,
  signal: AbortSignal,
): Promise<Trusted | undefined> {
  const vetted = await source.vet(head, journal.accepted(), signal)
  if (vetted === undefined) return undefined
  const held = heldPart(vetted.unsigned)
  if (held === undefined || journal.approvals().includes(held.plan)) return { tree: head, held: [] }
  return { tree: vetted.tree, held: [held] }
}

/** What is held of a commit for want of signatures: the same part for the same commits and paths. Pure. */
export function heldPart(unsigned: readonly Unsigned[]): Held | undefined {
  if (unsigned.length === 0) return undefined
  const plan = heldPlan('unsigned', ...unsigned.map(({ path, commit }) => [path, commit]))
  const told = unsigned.slice(0, mostTold).map(({ because }) => because)
  const more = unsigned.length > mostTold ? [`and ${unsigned.length - mostTold} more`] : []
  const paths = unsigned.length === 1 ? 'one path' : `${unsigned.length} paths`
  return {
    plan,
    what: `changes of ${paths} that nobody signed who may`,
    because: `${[...told, ...more].join('; ')}; held ${howToRelease(plan, 'socket')}`,
  }
}
