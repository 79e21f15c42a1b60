import { type Definition, partsOf } from '#manifests/definition.ts'
import { type Mention, mentionsOf, type NameIndex, referencesOf } from '#manifests/mention.ts'
import { type Suspicion, suspicionsOf, type TextPath } from '#manifests/suspect.ts'
import type { ToolSuspicion } from '#manifests/table.ts'
import type { PinIndex } from './pinning.ts'

/** Characters of a name or a place that are reported. */
const longest = 200

interface Read {
  readonly tool: string
  readonly hash: string
  readonly mentions: readonly Mention[]
  readonly suspicions: readonly Suspicion[]
}

/** Tools are read once, and of most nothing has to be looked at again; whose tools there are beside them changes more often. */
const reads = new WeakMap<readonly Definition[], readonly Read[]>()

function readsOf(definitions: readonly Definition[]): readonly Read[] {
  const known = reads.get(definitions)
  if (known !== undefined) return known
  const read = definitions
    .map(readAnew)
    .filter(({ mentions, suspicions }) => mentions.length > 0 || suspicions.length > 0)
  reads.set(definitions, read)
  return read
}

/** What is nested without end is not read to its end. */
function readAnew(definition: Definition): Read {
  const { name: tool, hash } = definition
  try {
    const parts = { [tool]: partsOf(definition) }
    return { tool, hash, mentions: mentionsOf(parts), suspicions: suspicionsOf(parts) }
  } catch {
    const what = 'is nested too deep to be read'
    return { tool, hash, mentions: [], suspicions: [{ kind: 'hidden', path: [tool], on: 'key', what }] }
  }
}

export interface Beside {
  readonly server: string
  readonly pins: PinIndex | undefined
  readonly index: NameIndex
}

/** What was looked at when the same definition was reviewed is said no more. */
export function suspicionsIn(
  definitions: readonly Definition[],
  { server, pins, index }: Beside,
): readonly ToolSuspicion[] {
  return readsOf(definitions).flatMap(({ tool, hash, mentions, suspicions }) => {
    const pinned = pins?.tools.get(tool)
    const allowed = pinned?.hash === hash ? (pinned.allow ?? []) : []
    return [...suspicions, ...referencesOf(mentions, server, index)]
      .filter(({ kind }) => !allowed.includes(kind))
      .map(({ kind, path, what }) => ({
        tool: tool.slice(0, longest),
        kind,
        at: placeOf(path).slice(0, longest),
        what,
      }))
  })
}

function placeOf([, ...path]: TextPath): string {
  return path.length === 0 ? 'name' : path.join('.')
}
