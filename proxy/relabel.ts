import { isRecord } from './message.ts'
import { type Edit, elements, type Member, members, replace, splice } from './splice.ts'
import { jointUri } from './uri.ts'

/** A response of one server in which each URI of its resources reads as on the joint endpoint; all else stays as it was written. */
export function relabel(text: string, lead: string): string {
  // A key can be written with escapes.
  if (lead === '' || !(text.includes('"uri"') || text.includes('\\u'))) return text
  return splice(text, [
    ...within(text, ['result', 'contents'], (list) => each(list, (entry) => renamed(entry, ['uri'], lead))),
    ...within(text, ['result', 'content'], (list) => each(list, (block) => relabelBlock(block, lead))),
    ...within(text, ['result', 'messages'], (list) => each(list, (message) => relabelMessage(message, lead))),
    ...within(text, ['error', 'data'], (data) => renamed(data, ['uri'], lead)),
  ])
}

/** Where a value stands that is found by going down from the outermost object. */
export function find(text: string, path: readonly string[], start = 0): Member | undefined {
  return text[start] === '{' ? findIn(text, members(text, start), path) : undefined
}

/** The same from the members of an object. */
export function findIn(text: string, found: readonly Member[], path: readonly string[]): Member | undefined {
  const own = found.find(({ key }) => key === path[0])
  return own === undefined || path.length === 1 ? own : find(text, path.slice(1), own.at)
}

function within(text: string, path: readonly string[], change: (value: string) => string): readonly Edit[] {
  const found = find(text, path)
  if (found === undefined) return []
  const value = text.slice(found.at, found.to)
  const changed = change(value)
  return changed === value ? [] : [replace(found, changed)]
}

function each(list: string, change: (element: string) => string): string {
  if (!list.startsWith('[')) return list
  const before = elements(list)
  const after = before.map(change)
  return after.every((element, index) => element === before[index]) ? list : `[${after.join(',')}]`
}

function relabelMessage(message: string, lead: string): string {
  return splice(
    message,
    within(message, ['content'], (content) =>
      content.startsWith('[') ? each(content, (block) => relabelBlock(block, lead)) : relabelBlock(content, lead),
    ),
  )
}

function relabelBlock(block: string, lead: string): string {
  if (!block.includes('"resource')) return block
  const parsed: unknown = JSON.parse(block)
  if (!isRecord(parsed)) return block
  if (parsed.type === 'resource_link') return renamed(block, ['uri'], lead)
  return parsed.type === 'resource' ? renamed(block, ['resource', 'uri'], lead) : block
}

/** An object with a URI in it as the joint endpoint shows it. */
export function renamed(text: string, path: readonly string[], lead: string): string {
  const found = find(text, path)
  const uri: unknown = found && JSON.parse(text.slice(found.at, found.to))
  if (found === undefined || typeof uri !== 'string') return text
  return splice(text, [replace(found, JSON.stringify(jointUri(lead, uri)))])
}

/** A question of one server that says whose it is: the joint endpoint hides it, and people must know. */
export function signQuestion(server: string, method: string, params: string): string {
  if (method !== 'elicitation/create') return params
  return splice(
    params,
    within(params, ['message'], (text) => worded(text, (words) => `${server}: ${words}`)),
  )
}

/** A notification of one server as the joint endpoint says it. */
export function signNote(text: string, server: string, lead: string): string {
  return splice(text, [
    ...within(text, ['params', 'uri'], (uri) => worded(uri, (own) => jointUri(lead, own))),
    ...within(text, ['params', 'logger'], (logger) => worded(logger, (own) => `${server}/${own}`)),
  ])
}

function worded(text: string, change: (words: string) => string): string {
  const words: unknown = JSON.parse(text)
  return typeof words === 'string' ? JSON.stringify(change(words)) : text
}
