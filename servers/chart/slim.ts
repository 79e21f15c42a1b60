import { z } from 'zod'
import type { Tool } from '../kit/tool.ts'

type Given = Readonly<Record<string, unknown>>

const anything = z.looseObject({})

/**
 * A schema as tools are listed with, in as few words as there are: lists of tools are read by models at each start. What
 * is given is not checked by it, but where it is drawn, so that all ways to draw answer in the same words.
 */
export function slim(schema: z.ZodType): Tool<Given>['input'] {
  const listed = withoutWords(z.toJSONSchema(schema, { io: 'input' }))
  const asked = () => (isObject(listed) ? listed : {})
  const { vendor, validate } = anything['~standard']
  return { '~standard': { version: 1, vendor, validate, jsonSchema: { input: asked, output: asked } } }
}

/** Without the dialect (MCP has one of its own), defaults that anybody would guess, and types that choices show. */
function withoutWords(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withoutWords)
  if (!isObject(schema)) return schema
  const { $schema: _dialect, propertyNames: _names, default: usual, ...rest } = schema
  const { type, ...others } = rest
  const kept = Array.isArray(rest.enum) ? others : rest
  const said = usual === true ? { ...kept, default: usual } : kept
  return Object.fromEntries(Object.entries(said).map(([key, value]) => [key, withoutWords(value)]))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
