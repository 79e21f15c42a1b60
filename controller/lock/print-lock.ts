import type { LockedTool, LockFile } from '#manifests/lock.ts'
import { escaped, hiddenIn } from '#manifests/suspect.ts'

const heading = `# Tools as they were reviewed, written by "gateway lock". What happens to one that differs is said by \`tools\` of its
# server's manifest. \`allow\` of a tool takes what is suspicious of it: hidden, look-alike, reference.
`

/** The file, the same for the same tools whatever order they come in. What nobody would see is escaped. */
export function printLock(lock: LockFile): string {
  const servers = sorted(lock).map(([server, tools]) => {
    const inner = sorted(tools).flatMap(([name, tool]) => [`${scalar(name)}:`, ...indented(toolLines(tool))])
    return inner.length === 0 ? [`${scalar(server)}: {}`] : [`${scalar(server)}:`, ...indented(inner)]
  })
  return `${heading}${servers.map((lines) => `\n${lines.map((line) => `${line}\n`).join('')}`).join('')}`
}

function toolLines({ hash, title, description, inputSchema, outputSchema, annotations, allow }: LockedTool): string[] {
  const inOrder = { hash, allow, title, description, inputSchema, outputSchema, annotations }
  return Object.entries(inOrder).flatMap(([key, value]) => (value === undefined ? [] : member(key, value)))
}

function sorted<T>(record: Readonly<Record<string, T>>): readonly (readonly [string, T])[] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1))
}

function member(key: string, value: unknown): string[] {
  const inline = flow(value)
  return inline === undefined ? [`${scalar(key)}:`, ...indented(block(value))] : labelled(scalar(key), value, inline)
}

/** A text of several lines stands below its key, as it is. */
function labelled(key: string, value: unknown, inline: string): string[] {
  if (typeof value !== 'string' || !isBlock(value)) return [`${key}: ${inline}`]
  const mark = value.endsWith('\n') ? '|' : '|-'
  const lines = value.replace(/\n$/, '').split('\n')
  return [`${key}: ${mark}`, ...lines.map((line) => (line === '' ? '' : `  ${line}`))]
}

function isBlock(text: string): boolean {
  return /^\S.*\n/.test(text) && !/\n\n$|\r|\n[ \t]+$/.test(text) && hiddenIn(text).length === 0
}

function block(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => itemLines(item))
  return isMapping(value) ? sorted(value).flatMap(([key, inner]) => member(key, inner)) : []
}

function itemLines(item: unknown): string[] {
  const inline = flow(item)
  if (inline !== undefined) return [`- ${inline}`]
  const [first = '', ...rest] = block(item)
  return [`- ${first}`, ...indented(rest)]
}

const longestList = 100

/** What fits on one line; undefined for what has an inside of its own. */
function flow(value: unknown): string | undefined {
  if (Array.isArray(value)) return flowList(value)
  if (isMapping(value)) return Object.keys(value).length === 0 ? '{}' : undefined
  return typeof value === 'string' ? scalar(value) : JSON.stringify(value)
}

function flowList(items: readonly unknown[]): string | undefined {
  if (items.some((item) => typeof item === 'object' && item !== null)) return undefined
  const list = `[${items.map(flow).join(', ')}]`
  return list.length > longestList ? undefined : list
}

const plain = /^[A-Za-z_][\w./-]*(?: [\w./-]+)*$/
const words = /^(?:true|false|null|yes|no|on|off|y|n)$/i

function scalar(text: string): string {
  return plain.test(text) && !words.test(text) ? text : escaped(JSON.stringify(text))
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? '' : `  ${line}`))
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
