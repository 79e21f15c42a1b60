import { createHash } from 'node:crypto'
import { z } from 'zod'

/** What a model reads of a tool beside its name, and so what people review, in the order in which they read it. */
export const definitionParts = ['title', 'description', 'inputSchema', 'outputSchema', 'annotations'] as const
export type DefinitionPart = (typeof definitionParts)[number]

/** A tool as its server defines it. */
export const Definition = z.strictObject({
  name: z.string(),
  /** `sha256:` and 64 hex digits, of `text`. */
  hash: z.string(),
  /** Canonical JSON (RFC 8785) of its name and of the parts that it has. */
  text: z.string(),
})
export type Definition = Readonly<z.infer<typeof Definition>>

type Fields = Readonly<Record<string, unknown>>

/** The same for every order of keys, and for both eras; what is null is not there. */
export function definitionOf(name: string, tool: Fields): Definition {
  const kept = definitionParts.filter((part) => tool[part] !== undefined && tool[part] !== null)
  const parts = kept.map((part) => [part, part === 'outputSchema' ? unwrapped(tool[part]) : tool[part]] as const)
  const text = canonical({ name, ...Object.fromEntries(parts) })
  return { name, hash: hashOf(text), text }
}

export function hashOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`
}

/** The parts of a definition's text. */
export function partsOf({ text }: Pick<Definition, 'text'>): Readonly<Partial<Record<DefinitionPart, unknown>>> {
  return Parts.parse(JSON.parse(text))
}

const Parts = z.object(Object.fromEntries(definitionParts.map((part) => [part, z.unknown().optional()])))

export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (!isFields(value)) return JSON.stringify(value)
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`)
  return `{${members.join(',')}}`
}

/** A server that speaks both eras puts an output that is no object into one, `result`, for legacy clients. */
function unwrapped(schema: unknown): unknown {
  if (!isFields(schema) || schema.type !== 'object' || !isFields(schema.properties)) return schema
  const { $schema: _, type: __, properties, required, ...more } = schema
  const { result, ...others } = properties
  const isWrap =
    Object.keys(more).length === 0 && Object.keys(others).length === 0 && canonical(required) === '["result"]'
  return isWrap && isFields(result) && result.type !== 'object' ? result : schema
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
