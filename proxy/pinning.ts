import { type Definition, definitionOf, definitionParts, hashOf } from '#manifests/definition.ts'
import type { Pins, ToolDrift } from '#manifests/table.ts'
import { isRecord } from './message.ts'
import { elements, folded, type Member, members, objectOf, splice } from './splice.ts'

type Pinned = Pins['tools'][number]

/** What is pinned of a generation, by the tool's name. */
export interface PinIndex {
  readonly mode: Pins['mode']
  readonly tools: ReadonlyMap<string, Pinned>
}

export function indexPins({ mode, tools }: Pins): PinIndex {
  return { mode, tools: new Map(tools.map((tool) => [tool.name, tool])) }
}

/** Whether what agents see depends on the pins; where they only warn, nothing has to be looked at. */
export function isStrict(pins: PinIndex | undefined): pins is PinIndex {
  return pins !== undefined && pins.mode !== 'warn'
}

/** The definition in a tool's own text; undefined where that is no tool. */
export function readDefinition(text: string): Definition | undefined {
  const tool: unknown = JSON.parse(text)
  if (!isRecord(tool) || typeof tool.name !== 'string') return undefined
  const definition = definitionOf(tool.name, tool)
  return isAmbiguous(text, true) ? { ...definition, hash: hashOf(text) } : definition
}

/** Whether two parsers could read different things in a text: one key that stands twice, or at the top one in other letters. */
function isAmbiguous(text: string, top = false): boolean {
  const first = text.trimStart()[0]
  if (first === '[') return elements(text).some((element) => isAmbiguous(element))
  if (first !== '{') return false
  const found = members(text)
  const keys = new Set(found.map(({ key }) => (top ? folded(key) : key)))
  if (keys.size < found.length || (top && found.some(({ key }) => isDisguised(key)))) return true
  return found.some(({ at, to }) => isAmbiguous(text.slice(at, to)))
}

const known: ReadonlySet<string> = new Set(['name', ...definitionParts])
const knownFolded: ReadonlySet<string> = new Set([...known].map(folded))

function isDisguised(key: string): boolean {
  return !known.has(key) && knownFolded.has(folded(key))
}

export function changeOf(pins: PinIndex, { name, hash }: Definition): 'new' | 'changed' | undefined {
  const pinned = pins.tools.get(name)
  if (pinned === undefined) return 'new'
  return pinned.hash === hash ? undefined : 'changed'
}

/** What of a generation's tools differs from what is pinned. Definitions are cut off where they would fill a report. */
export function driftOf(pins: PinIndex, definitions: readonly Definition[]): readonly ToolDrift[] {
  const there = new Set(definitions.map(({ name }) => name))
  let left = room
  const differing = definitions.flatMap((definition): ToolDrift[] => {
    const change = changeOf(pins, definition)
    if (change === undefined) return []
    const { name, hash, text } = definition
    const isShort = text.length <= left
    if (isShort) left -= text.length
    return [{ tool: name.slice(0, longestName), change, hash, ...(isShort ? { definition: text } : {}) }]
  })
  const gone = [...pins.tools.keys()].filter((name) => !there.has(name))
  return [...differing, ...gone.map((tool): ToolDrift => ({ tool, change: 'gone' }))]
}

/** Characters of definitions that a report carries of one generation, and of a name. */
const room = 16_384
const longestName = 200

/** Why a tool may not be called; a held one may, as long as something of it was ever reviewed. */
export function withheldBy(
  pins: PinIndex,
  name: string,
  definitions: readonly Definition[],
): 'new' | 'changed' | undefined {
  if (!pins.tools.has(name)) return 'new'
  if (pins.mode !== 'block') return undefined
  return definitions.some((one) => one.name === name && changeOf(pins, one) === 'changed') ? 'changed' : undefined
}

type See = (definition: Definition) => void

/** The text that is listed for a tool: its own, the one that was reviewed, or none. `see` is told what it is. */
export function pinTool(pins: PinIndex, text: string, see: See): string | undefined {
  const definition = readDefinition(text)
  if (definition === undefined) return undefined
  see(definition)
  if (changeOf(pins, definition) === undefined) return text
  const reviewed = pins.tools.get(definition.name)?.definition
  return reviewed === undefined ? undefined : listable(reviewed)
}

/** The eras say differently what gives something else than an object, and nobody needs to be told. */
function listable(reviewed: string): string {
  const tool: unknown = JSON.parse(reviewed)
  const isPlain = isRecord(tool) && (!isRecord(tool.outputSchema) || tool.outputSchema.type === 'object')
  if (isPlain) return reviewed
  return objectOf(
    reviewed,
    members(reviewed).filter(({ key }) => key !== 'outputSchema'),
  )
}

const mayList = /"tool|\\u/i

/**
 * A message of an upstream with its list of tools as the pins say; unchanged where it has none, or nothing differs. Lists are told
 * by their shape, so that one is found in whatever answer it comes.
 */
export function pinMessage(pins: PinIndex, text: string, see: See): string {
  if (!mayList.test(text)) return text
  // Throws where it is no JSON: what follows takes for granted that it is.
  JSON.parse(text)
  if (text.trimStart()[0] === '[')
    return `[${elements(text)
      .map((element) => pinMessage(pins, element, see))
      .join(',')}]`
  const lists = membersOf(text, 0, 'result').flatMap(({ at }) => membersOf(text, at, 'tools'))
  return splice(
    text,
    lists.map(({ at, to }) => ({ from: at, to, text: pinList(pins, text, { at, see }) })),
  )
}

/** The members of that name, in any case of letters, of what may be an object. */
function membersOf(text: string, at: number, name: string): readonly Member[] {
  if (text.slice(at).trimStart()[0] !== '{') return []
  return members(text, at).filter(({ key }) => folded(key) === name)
}

function pinList(pins: PinIndex, text: string, { at, see }: { readonly at: number; readonly see: See }): string {
  if (text[at] !== '[') return '[]'
  return `[${elements(text, at)
    .flatMap((tool) => pinTool(pins, tool, see) ?? [])
    .join(',')}]`
}

/** The texts of the tools in an answer. */
export function toolTexts(text: string): readonly string[] {
  const result = members(text).findLast(({ key }) => key === 'result')
  const tools = result && members(text, result.at).findLast(({ key }) => key === 'tools')
  return tools === undefined ? [] : elements(text, tools.at)
}
