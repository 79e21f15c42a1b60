import type { Compiled, Tree } from './desired.ts'
import { type Machine, type Target, target } from './generation.ts'
import type { Intents } from './intents.ts'

export interface PinGuides {
  readonly source: { tree(commit: string): Promise<Tree> }
  readonly compile: (tree: Tree, signal: AbortSignal) => Promise<Compiled>
  readonly machine: Machine
}

/** Commits never change, and few are pinned. */
const compiledPins = new WeakMap<object, Map<string, Compiled>>()

/** What pinned servers were in their pins' commits; one whose commit cannot be read any more is left out. */
export async function pinnedTargets(
  { pins }: Intents,
  guides: PinGuides,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Target>> {
  const targets = new Map<string, Target>()
  for (const [name, { commit }] of pins) {
    const compiled = await compileOnce(commit, guides, signal)
    const server = compiled?.ok ? compiled.desired.servers[name] : undefined
    if (server !== undefined) targets.set(name, target(server, commit, guides.machine))
  }
  return targets
}

async function compileOnce(commit: string, guides: PinGuides, signal: AbortSignal): Promise<Compiled | undefined> {
  const known = compiledPins.get(guides.source) ?? new Map<string, Compiled>()
  compiledPins.set(guides.source, known)
  const found = known.get(commit)
  if (found !== undefined) return found
  const tree = await guides.source.tree(commit).catch(() => undefined)
  if (tree === undefined) return undefined
  const compiled = await guides.compile(tree, signal)
  known.set(commit, compiled)
  return compiled
}
