import { metaKeys, ownEnvelope } from './envelope.ts'
import type { Era } from './inquire.ts'
import { isRecord, type Message } from './message.ts'
import { find, findIn } from './relabel.ts'
import { type Edit, type Member, members, objectOf, replace, splice } from './splice.ts'

/** How a client's request is changed on its way to an upstream. */
export interface Rewording {
  /** The upstream's era. */
  readonly era: Era
  /** JSON text of another id. */
  readonly id?: string
  /** What reads otherwise at its upstream. */
  readonly set?: readonly Named[]
  /** What a modern request says of its client; default: nothing can be asked of it. */
  readonly envelope?: Readonly<Record<string, unknown>>
  /** JSON texts of members that are added to the params. */
  readonly added?: readonly string[]
  /** JSON text of another progress token, where there is one. */
  readonly token?: string
}

/** A string among the params that reads otherwise at the upstream. */
export interface Named {
  /** Keys on the way to it. */
  readonly at: readonly string[]
  readonly value: string
}

const envelopeKeys: ReadonlySet<string> = new Set([metaKeys.version, metaKeys.capabilities])
const modernOnly: ReadonlySet<string> = new Set(['resultType', 'ttlMs', 'cacheScope'])

/** A request in the words of an upstream's era; all else of it stays as it was written. */
export function toUpstream(message: Message, rewording: Rewording): string {
  const { text, members: found } = message
  const params = found.find(({ key }) => key === 'params')
  const edits: Edit[] = []
  const id = found.find(({ key }) => key === 'id')
  if (id !== undefined && rewording.id !== undefined) edits.push(replace(id, rewording.id))
  if (params !== undefined) edits.push(...paramsEdits(message, params, rewording))
  else if (rewording.era === 'modern')
    edits.push(insert(found, `"params":{"_meta":${JSON.stringify(rewording.envelope ?? ownEnvelope)}}`))
  return splice(text, edits)
}

function paramsEdits(
  { text, inner }: Message,
  params: Member,
  { era, set = [], token, envelope = ownEnvelope, added = [] }: Rewording,
): readonly Edit[] {
  const edits: Edit[] = []
  for (const { at, value } of set) {
    const own = findIn(text, inner, at)
    if (own !== undefined) edits.push(replace(own, JSON.stringify(value)))
  }
  const meta = inner.find(({ key }) => key === '_meta')
  const found = meta === undefined || text[meta.at] !== '{' ? [] : members(text, meta.at)
  const metaText = metaFor(text, found, { era, token, envelope })
  const more = [...added]
  if (meta !== undefined) edits.push(replace(meta, metaText))
  else if (era === 'modern') more.push(`"_meta":${metaText}`)
  if (more.length > 0) edits.push(insertInto(text, params, inner, more.join(',')))
  return edits
}

interface Metadata {
  readonly era: Era
  readonly token: string | undefined
  readonly envelope: Readonly<Record<string, unknown>>
}

function metaFor(text: string, found: readonly Member[], { era, token, envelope }: Metadata): string {
  const rest: Member[] = []
  const added: string[] = []
  for (const member of found) {
    const { key } = member
    if (era === 'modern' ? envelopeKeys.has(key) : key.startsWith('io.modelcontextprotocol/')) continue
    if (token !== undefined && key === 'progressToken') added.push(`"progressToken":${token}`)
    else rest.push(member)
  }
  if (era === 'modern') added.push(envelopeText(envelope, rest))
  return objectOf(text, rest, added)
}

const ownText = JSON.stringify(ownEnvelope).slice(1, -1)

/** What the client says of itself stays. */
function envelopeText(envelope: Metadata['envelope'], meta: readonly Member[]): string {
  const isNamed = meta.some(({ key }) => key === metaKeys.client)
  if (envelope === ownEnvelope && !isNamed) return ownText
  const { [metaKeys.client]: _, ...unnamed } = envelope
  return JSON.stringify(isNamed ? unnamed : envelope).slice(1, -1)
}

/** An upstream's response in the words of the client's era, with the client's id. */
export function toClient(text: string, eras: { readonly from: Era; readonly to: Era }, id: string): string {
  const found = members(text)
  const edits: Edit[] = []
  const own = found.find(({ key }) => key === 'id')
  if (own !== undefined) edits.push(replace(own, id))
  const error = found.find(({ key }) => key === 'error')
  if (error !== undefined && eras.from === 'legacy' && eras.to === 'modern') edits.push(...modernCode(text, error))
  const result = found.find(({ key }) => key === 'result')
  if (result !== undefined && text[result.at] === '{' && eras.from !== eras.to)
    edits.push(replace(result, eras.to === 'legacy' ? legacyResult(text, result) : modernResult(text, result)))
  return splice(text, edits)
}

/** A modern response that nobody but its agent may keep: what is in it depends on the token. */
export function keepPrivate(text: string): string {
  const result = find(text, ['result'])
  if (result === undefined || text[result.at] !== '{') return text
  const found = members(text, result.at)
  if (found.some(({ key, at, to }) => key === 'resultType' && text.slice(at, to) !== '"complete"')) return text
  const kept = found.filter(({ key }) => key !== 'ttlMs' && key !== 'cacheScope')
  return splice(text, [replace(result, objectOf(text, kept, ['"ttlMs":0', '"cacheScope":"private"']))])
}

/** The newer era has no code of its own for a resource that is not there. */
function modernCode(text: string, error: Member): readonly Edit[] {
  const code = find(text, ['code'], error.at)
  return code !== undefined && text.slice(code.at, code.to) === '-32002' ? [replace(code, '-32602')] : []
}

function modernResult(text: string, result: Member): string {
  const inner = members(text, result.at)
  const added = inner.some(({ key }) => key === 'resultType') ? [] : ['"resultType":"complete"']
  return objectOf(text, inner, added)
}

function legacyResult(text: string, result: Member): string {
  const inner = members(text, result.at).filter(({ key }) => !modernOnly.has(key))
  const kept = inner.filter(({ key }) => key !== '_meta' && key !== 'structuredContent')
  const added = inner.flatMap((member) => {
    const value = text.slice(member.at, member.to)
    if (member.key === '_meta') return legacyMeta(text, member)
    if (member.key === 'structuredContent')
      return [`"structuredContent":${value.startsWith('{') ? value : `{"result":${value}}`}`]
    return []
  })
  return objectOf(text, kept, added)
}

function legacyMeta(text: string, meta: Member): readonly string[] {
  if (text[meta.at] !== '{') return []
  const kept = members(text, meta.at).filter(({ key }) => key !== metaKeys.server)
  return kept.length === 0 ? [] : [`"_meta":${objectOf(text, kept)}`]
}

/** A notification with the client's own progress token in the place of ours; undefined for progress of what is another's. */
export function restoreToken(text: string, ours: string, theirs: string | undefined): string | undefined {
  const message: unknown = JSON.parse(text)
  if (!isRecord(message) || message.method !== 'notifications/progress') return text
  if (theirs === undefined || !isRecord(message.params) || JSON.stringify(message.params.progressToken) !== ours)
    return undefined
  const token = find(text, ['params', 'progressToken'])
  return token === undefined ? undefined : splice(text, [replace(token, theirs)])
}

function insert(found: readonly Member[], member: string): Edit {
  const at = found.at(-1)?.to ?? 0
  return { from: at, to: at, text: `,${member}` }
}

function insertInto(text: string, object: Member, inner: readonly Member[], member: string): Edit {
  if (inner.length > 0) return insert(inner, member)
  return { from: object.at, to: text.indexOf('}', object.at) + 1, text: `{${member}}` }
}
