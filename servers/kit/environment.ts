import { z } from 'zod'
import { levels } from './log.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** As much of a zod schema as is used here, so that a server may bring its own copy of zod. */
interface Schema<Output> {
  safeParse(value: unknown): { data?: Output; error?: { readonly issues: readonly Issue[] } }
}

interface Issue {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

const port = 'give a port, 0 (any free one) to 65535'

/** What every server reads. */
export const settingsSchema = z.object({
  HOST: z.string().default('127.0.0.1'),
  PORT: z
    .string()
    .regex(/^\d{1,5}$/, port)
    .transform(Number)
    .pipe(z.number().max(65_535, port))
    .default(3000),
  LOG_LEVEL: z.enum(levels, `give one of ${levels.join(', ')}`).default('info'),
})

/**
 * Reads variables through a schema; an empty one counts as absent.
 * @throws Error with one line that names every wrong variable, what it holds and what is allowed.
 */
export function readEnvironment<Output>(schema: Schema<Output>, variables: Environment = process.env): Output {
  const given = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''))
  const { data, error } = schema.safeParse(given)
  if (data !== undefined) return data
  throw new Error(error?.issues.map((issue) => explain(issue, given)).join('; '))
}

function explain({ path, message }: Issue, given: Environment): string {
  const name = String(path[0])
  const value = given[name]
  return value === undefined ? `${name} is not set: ${message}` : `${name}=${JSON.stringify(value)}: ${message}`
}
