import { readFileSync } from 'node:fs'
import type { ChartType } from './catalogue.ts'

/** The arguments of an example of a type, as a caller would give them. */
export function readExample(type: ChartType): Readonly<Record<string, unknown>> {
  return JSON.parse(readFileSync(new URL(`./examples/${type}.json`, import.meta.url), 'utf8'))
}
