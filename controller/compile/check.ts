import { z } from 'zod'
import { found, quote } from '#manifests/text.ts'
import type { ManifestFault } from '../desired.ts'
import { composeAnswer } from './compose-names.ts'
import type { Manifest, Path, Step } from './manifest.ts'
import { nearest, suggestion } from './nearest.ts'

export type Checked<T> =
  | { readonly ok: true; readonly value: T; readonly faults: readonly [] }
  | { readonly ok: false; readonly faults: readonly ManifestFault[] }

/** Parses a manifest's value: the value of the schema, or every fault with its place. */
export function check<S extends z.ZodType>(manifest: Manifest, schema: S): Checked<z.output<S>> {
  const parsed = schema.safeParse(manifest.value, { error: words, reportInput: true })
  if (parsed.success) return { ok: true, value: parsed.data, faults: [] }
  const complaints = parsed.error.issues.slice(0, mostComplaints).flatMap((issue) => complain(issue, []))
  return { ok: false, faults: complaints.map(({ path, message, on }) => manifest.fault(path, message, on)) }
}

/** More than anybody is told, and few enough to look for the nearest name of each. */
export const mostComplaints = 200

type Complaint = { readonly path: Path; readonly message: string; readonly on: 'key' | 'value' }

function complain(issue: z.core.$ZodIssue, above: Path): readonly Complaint[] {
  const path = [...above, ...issue.path.map(step)]
  if (issue.code === 'unrecognized_keys')
    return issue.keys
      .slice(0, mostComplaints)
      .map((key) => ({ path: [...path, key], message: unknownKey(key, issue.message, path), on: 'key' }))
  if (issue.code === 'invalid_union') return complainOfUnion(issue, path)
  if (issue.code === 'invalid_key') return [{ path, message: issue.issues[0]?.message ?? issue.message, on: 'key' }]
  return [{ path, message: issue.message, on: 'value' }]
}

/** Of alternatives, the one that the value was meant to be speaks: the one whose outermost type fits. */
function complainOfUnion(issue: z.core.$ZodIssueInvalidUnion, path: Path): readonly Complaint[] {
  const meant = issue.errors.find((errors) => !errors.some(isOfAnotherType))
  if (meant !== undefined && meant.length > 0) return meant.flatMap((inner) => complain(inner, path))
  if (issue.message !== '') return [{ path, message: issue.message, on: 'value' }]
  const types = issue.errors.flat().flatMap((inner) => (inner.code === 'invalid_type' ? typeName(inner.expected) : []))
  return [{ path, message: expectation([...new Set(types)].join(' or '), issue.input), on: 'value' }]
}

function isOfAnotherType(issue: z.core.$ZodIssue): boolean {
  return issue.path.length === 0 && issue.code === 'invalid_type'
}

function step(key: PropertyKey): Step {
  return typeof key === 'symbol' ? '' : key
}

/** `allowed` is what `words` gave for the issue: the names, with commas between them. */
function unknownKey(key: string, allowed: string, path: Path): string {
  const names = allowed.split(', ')
  const answer = path.length === 0 ? composeAnswer(key) : undefined
  if (answer !== undefined) return answer
  const near = nearest(key, names)
  return near === undefined ? `unknown key, allowed are ${allowed}` : `unknown key${suggestion(key, names)}`
}

/** zod's issues in our words; what a schema says itself comes before these. */
function words(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return expectation(typeName(issue.expected), issue.input)
    case 'invalid_value':
      return oneOf(issue.values.map(String), issue.input)
    case 'unrecognized_keys':
      return issue.inst instanceof z.ZodObject ? Object.keys(issue.inst.shape).join(', ') : ''
    case 'too_small':
      return `expected at least ${amount(issue.origin, issue.minimum)}, found ${measured(issue.input)}`
    case 'too_big':
      return `expected at most ${amount(issue.origin, issue.maximum)}, found ${measured(issue.input)}`
    case 'invalid_union':
      return ''
    default:
      return `not allowed here: ${found(issue.input)}`
  }
}

function expectation(what: string, input: unknown): string {
  return input === undefined ? `required: ${what}` : `expected ${what}, found ${found(input)}`
}

function oneOf(allowed: readonly string[], input: unknown): string {
  const near = typeof input === 'string' ? suggestion(input, allowed) : ''
  return `expected ${allowed.slice(0, -1).join(', ')} or ${allowed.at(-1)}, found ${found(input)}${near}`
}

const typeNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
}

function typeName(expected: string): string {
  return typeNames[expected] ?? expected
}

function amount(origin: string, limit: number | bigint): string {
  if (origin === 'string') return `${limit} character${limit === 1 ? '' : 's'}`
  if (origin === 'array') return `${limit} ${limit === 1 ? 'entry' : 'entries'}`
  return `${limit}`
}

function measured(input: unknown): string {
  if (Array.isArray(input)) return `${input.length}`
  if (typeof input === 'string') return input.length > 60 ? `${input.length}` : quote(input)
  return found(input)
}
