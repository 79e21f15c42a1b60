import { z } from 'zod'
import { AgentName } from './name.ts'
import { OutsideServers } from './server.ts'
import { judged, quote, text } from './text.ts'

const hashForm = /^sha256:[0-9a-f]{64}$/
const asHash = 'expected "sha256:" and 64 lower-case hex digits'

/** What was found is not repeated: somebody may have written the token itself. */
function wrongHash(value: string): string | undefined {
  if (hashForm.test(value)) return
  if (value.startsWith('cgw_'))
    return 'this is a token, not its hash: it is no secret any more, make a new one with "gateway token new"'
  if (/^[0-9a-f]{64}$/i.test(value)) return `${asHash}, found the digits alone: put "sha256:" before them`
  if (/^sha256:[0-9a-f]{64}$/i.test(value)) return `${asHash}, found upper-case ones`
  if (/^sha256:<.*>$/.test(value))
    return `${asHash}, found a placeholder: "gateway token new AGENT" makes a token and prints its hash`
  if (/^sha256:[0-9a-f]*$/i.test(value)) return `${asHash}, found ${value.length - 7} digits`
  return `${asHash}, found something else`
}

const TokenHash = judged(wrongHash)
  .meta({ pattern: hashForm.source })
  .transform((value) => value.slice('sha256:'.length))

const Pattern = text(/^[^\s\p{Cc}]{1,256}$/u, 'a name or a pattern such as search_*')
const Patterns = z.array(Pattern)
const everything = () => ({ tools: ['*'], prompts: ['*'], resources: ['*'] })

const Narrow = z.union([
  Patterns.transform((tools) => ({ tools, prompts: [], resources: [] })),
  z.strictObject({
    tools: Patterns.prefault([]).describe('Tools, by name or pattern.'),
    prompts: Patterns.prefault([]).describe('Prompts, by name or pattern.'),
    resources: Patterns.prefault([]).describe('Resources, by URI or pattern.'),
  }),
])

/** `*` or a server's name → all of it; `{ name: [tools] }` or `{ name: { tools, prompts, resources } }` → only that. */
export const GrantEntry = z.union([
  z.string().transform((server) => ({ server, all: true, grant: everything() })),
  z
    .record(z.string(), Narrow)
    .refine((one) => Object.keys(one).length === 1, {
      error: 'expected one server an entry: begin the next with its own "-"',
    })
    .transform((one) => Object.entries(one).map(([server, grant]) => ({ server, all: false, grant }))[0] ?? nobody()),
])
export type GrantEntry = Readonly<z.infer<typeof GrantEntry>>

function nobody() {
  return { server: '', all: false, grant: { tools: [], prompts: [], resources: [] } }
}

function wrongDay(value: string): string | undefined {
  const day = /^\d{4}-\d{2}-\d{2}$/.test(value) ? new Date(`${value}T00:00:00Z`) : undefined
  if (day !== undefined && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(value)) return
  return `expected a day such as 2027-01-31, found ${quote(value)}`
}

export const AgentSpec = z.strictObject({
  token_hash: z
    .union([TokenHash.transform((hash) => [hash]), z.array(TokenHash).min(1).max(2)])
    .describe('SHA-256 of the token, as `sha256:<64 hex>`; a list of two while one replaces the other.'),
  servers: z
    .array(GrantEntry)
    .describe(
      'What it may use: `"*"` for every server, a server’s name, `{ name: [tools] }`, or `{ name: { tools, prompts, resources } }`.',
    ),
  expires: judged(wrongDay)
    .meta({ format: 'date' })
    .optional()
    .describe('The last day that its tokens are valid, UTC. Default for ever.'),
  owner: z.boolean().prefault(false).describe('Whether its people are told when something breaks; grants nothing.'),
})
export type AgentSpec = Readonly<z.infer<typeof AgentSpec>>

/** `manifests/permissions.yaml`: who may call what. */
export const PermissionsFile = z.strictObject({
  agents: z.record(AgentName, AgentSpec).describe('Agents by name; `{}` for none.'),
  servers: OutsideServers.prefault({}).describe('Servers that run elsewhere; the gateway only routes to them.'),
})
export type PermissionsFile = Readonly<z.infer<typeof PermissionsFile>>
