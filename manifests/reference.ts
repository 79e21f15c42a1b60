import { z } from 'zod'
import { documents } from './spec.ts'

type Schema = z.core.JSONSchema.BaseSchema
type Document = keyof typeof documents

const introductions: Readonly<Record<Document, string>> = {
  permissions: 'Who may call what. Required; `agents: {}` names nobody.',
  server:
    'One server. The name of the file is its name: 1 to 20 of `a-z`, `0-9` and `-`, not beginning with `-`, and not `gateway`, `controller`, `proxy`, `edge`, `egress` or `stdio`. Exactly one of `build`, `image` and `url`; none of them means `build: servers/<name>`.',
  gateway: 'The gateway itself. Optional.',
  lock: 'The definitions of tools that were reviewed: by server, by tool. Optional, and written by `gateway lock`.',
}

/** The JSON Schema of what a person may write in a document. */
export function jsonSchema(name: Document) {
  return z.toJSONSchema(documents[name].schema, { io: 'input', target: 'draft-7', unrepresentable: 'any' })
}

/** Every generated file, by its path from the root of the project. */
export function generated(): Readonly<Record<string, string>> {
  const schemas = names().map((name) => [
    `manifests/schema/${name}.json`,
    `${JSON.stringify({ title: documents[name].file, ...jsonSchema(name) }, null, 2)}\n`,
  ])
  return { ...Object.fromEntries(schemas), 'docs/manifests.md': reference() }
}

function names(): readonly Document[] {
  return ['permissions', 'server', 'gateway', 'lock']
}

function reference(): string {
  const intro = `# Manifests

Generated from the schemas in \`manifests/\` by \`npm run schema\`: change those. A first line such as
\`# yaml-language-server: $schema=../schema/server.json\` lets an editor complete and check a file; the path leads from the
file to \`manifests/schema/\`. Times are written \`250ms\`, \`60s\`, \`1m30s\` or \`2h\`, amounts of memory \`512m\` or \`1g\`. Unknown
keys are errors, and so is \`\${…}\` in a value. [How to add a server](add-a-server.md) has whole files.
`
  return [intro, ...names().map(section)].join('\n')
}

function section(name: Document): string {
  const rows = rowsOf(jsonSchema(name), '').map(printRow)
  const head = '| key | value | default | meaning |\n|---|---|---|---|'
  return `## \`${documents[name].file}\`\n\n${introductions[name]}\n\n${head}\n${rows.join('\n')}\n`
}

interface Row {
  readonly key: string
  readonly schema: Schema
  readonly required: boolean
}

function rowsOf(schema: Schema, above: string): readonly Row[] {
  const required = new Set(schema.required)
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const key = above === '' ? name : `${above}.${name}`
    return isSchema(inner) ? [{ key, schema: inner, required: required.has(name) }, ...rowsOf(inner, key)] : []
  })
  const entries = entriesOf(schema).flatMap(({ inner, suffix }) => rowsOf(inner, (above + suffix).replace(/^\./, '')))
  const alternatives = (schema.anyOf ?? []).flatMap((inner) => (isSchema(inner) ? rowsOf(inner, above) : []))
  return [...own, ...entries, ...alternatives]
}

/** What a list or a mapping of names holds. */
function entriesOf({ items, additionalProperties }: Schema) {
  const item = !Array.isArray(items) && isSchema(items) ? [{ inner: items, suffix: '[]' }] : []
  return isSchema(additionalProperties) ? [...item, { inner: additionalProperties, suffix: '.<name>' }] : item
}

function isSchema(schema: unknown): schema is Schema {
  return typeof schema === 'object' && schema !== null
}

function printRow({ key, schema, required }: Row): string {
  const fallback = required ? 'required' : schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``
  return `| \`${key}\` | ${kindOf(schema)} | ${fallback} | ${schema.description ?? ''} |`
}

function kindOf(schema: Schema): string {
  if (schema.enum) return schema.enum.map((value) => `\`${String(value)}\``).join(', ')
  if (schema.anyOf)
    return [...new Set(schema.anyOf.map((inner) => (isSchema(inner) ? kindOf(inner) : '')))].join(' or ')
  const { items } = schema
  if (schema.type === 'array') return !Array.isArray(items) && isSchema(items) ? `list of ${kindOf(items)}` : 'list'
  return kinds[`${schema.type}`] ?? 'anything'
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'number',
  integer: 'whole number',
  boolean: '`true` or `false`',
  object: 'mapping',
}
