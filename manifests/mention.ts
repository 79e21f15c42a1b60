import { type Suspicion, type TextPath, textsOf } from './suspect.ts'

/** A word in a tool's prose that may be the name of a tool. */
export interface Mention {
  readonly path: TextPath
  readonly word: string
}

/** The tools of a server by name, as the words of others may name them. */
export interface Namesake {
  readonly server: string
  /** Of its tools on the joint endpoint. */
  readonly prefix: string
  readonly tools: ReadonlySet<string>
}

/** Whose tools a word may name. */
export interface NameIndex {
  readonly servers: ReadonlyMap<string, Namesake>
  readonly prefixes: ReadonlyMap<string, Namesake>
  /** Servers by the name of a tool. */
  readonly tools: ReadonlyMap<string, readonly string[]>
}

export function indexNames(all: readonly Namesake[]): NameIndex {
  const tools = new Map<string, string[]>()
  for (const { server, tools: own } of all)
    for (const tool of own) {
      const owners = tools.get(tool)
      if (owners === undefined) tools.set(tool, [server])
      else owners.push(server)
    }
  return {
    servers: new Map(all.map((one) => [one.server, one])),
    prefixes: new Map(all.map((one) => [one.prefix, one])),
    tools,
  }
}

interface Named {
  readonly tool: string
  /** All servers that it may be a tool of. */
  readonly servers: readonly string[]
}

/** `tool`, `prefix__tool`, `server.tool`, `server/tool` or `server:tool`. */
function namedBy(word: string, { servers, prefixes, tools }: NameIndex): Named | undefined {
  const plain = tools.get(word)
  if (plain !== undefined) return { tool: word, servers: plain }
  const [, before = '', mark = '', tool = ''] = /^([^./:]*?)(__|[./:])(.+)$/.exec(word) ?? []
  const owner = mark === '__' ? prefixes.get(before) : servers.get(before)
  return owner?.tools.has(tool) ? { tool, servers: [owner.server] } : undefined
}

const prose: readonly unknown[] = ['title', 'description']
const identifiers = /[A-Za-z0-9_][\w./:-]*/g
const quoted =
  /[`"'“‘]([A-Za-z]+)[`"'”’] (?:tool|function)\b|\b(?:tool|function)s? (?:named |called )?[`"'“‘]([A-Za-z]+)[`"'”’]/gi
/** Characters of a word that may be a name. */
const longest = 200
/** A word that people do not write unless they mean a name. */
const telling = /[a-z0-9][A-Z]|[A-Za-z0-9][_./:-]+[A-Za-z0-9]|[A-Za-z]\d/
const shortest = 5

/** Words of a definition's titles and descriptions that may name a tool; names of its own parameters are none. */
export function mentionsOf(definition: unknown): readonly Mention[] {
  const own = new Set<string>()
  const found: Mention[] = []
  for (const { path, on, text } of textsOf(definition)) {
    if (on === 'key' && path.at(-2) === 'properties') own.add(text)
    if (on === 'value' && prose.includes(path.at(-1)))
      for (const word of new Set(wordsIn(text))) found.push({ path, word })
  }
  return found.filter(({ word }) => !own.has(word))
}

function* wordsIn(text: string): Generator<string> {
  for (const match of new Set(text.match(identifiers))) {
    if (match.length < shortest || match.length > longest || !telling.test(match) || match.includes('://')) continue
    const word = match.replace(/[./:-]+$/, '')
    const parts = word.split(/[/:]/)
    for (const part of parts.length > 1 ? [word, ...parts] : parts)
      yield* tails(part).filter((one) => one.length >= shortest && telling.test(one))
  }
  for (const [, before, after] of text.matchAll(quoted)) yield before ?? after ?? ''
}

/** Clients put names of their own in front: `mcp__gateway__wiki__search`. */
function tails(word: string): readonly string[] {
  const parts = word.split('__')
  return parts.map((_, at) => parts.slice(at).join('__'))
}

/** The mentions that name a tool of another server and none of the own one; a tool that a text names in two ways once. */
export function referencesOf(mentions: readonly Mention[], server: string, index: NameIndex): readonly Suspicion[] {
  const said = new Set<string>()
  return mentions.flatMap(({ path, word }) => {
    const named = namedBy(word, index)
    if (named === undefined || named.servers.includes(server)) return []
    const key = JSON.stringify([path, named])
    if (said.has(key)) return []
    said.add(key)
    const what = `names ${JSON.stringify(word)}, a tool of the server ${named.servers[0]}`
    return [{ kind: 'reference', path, on: 'value', what }]
  })
}
