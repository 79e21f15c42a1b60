import { z } from 'zod'
import { Definition } from './definition.ts'
import { suspectKinds } from './suspect.ts'

/** What of one server an agent may use: glob patterns (`*` matches any run of characters) of names, or of URIs for resources. */
export const Grant = z.strictObject({
  tools: z.array(z.string()),
  prompts: z.array(z.string()),
  resources: z.array(z.string()),
})
export type Grant = Readonly<z.infer<typeof Grant>>

export const TableAgent = z.strictObject({
  /** SHA-256 of each valid token, 64 hex digits. */
  hashes: z.array(z.string()),
  /** The last day the tokens are valid, UTC, `YYYY-MM-DD`. */
  expires: z.string().optional(),
  /** By server name; `*` is expanded before it gets here. */
  grants: z.record(z.string(), Grant),
})
export type TableAgent = Readonly<z.infer<typeof TableAgent>>

/** The tools of a generation as they were reviewed, and what happens to one that differs. */
export const Pins = z.strictObject({
  mode: z.enum(['warn', 'hold', 'block']),
  tools: z.array(
    z.strictObject({
      name: z.string(),
      hash: z.string(),
      /** Canonical JSON of the definition, where it is listed in the place of another. */
      definition: z.string().optional(),
      /** Suspicions that were looked at. */
      allow: z.array(z.enum(suspectKinds)).optional(),
    }),
  ),
})
export type Pins = Readonly<z.infer<typeof Pins>>
/** What a server that runs elsewhere wants to see with every request; its value is a secret. */
export const Credential = z.strictObject({
  /** Lower case. */
  header: z.string(),
  /** As it is sent, scheme and all. */
  value: z.string(),
})
export type Credential = Readonly<z.infer<typeof Credential>>

/** Calls that all agents share, of tools as their server names them. */
export const Budget = z.strictObject({
  calls: z.number().int().positive(),
  /** Beginning with a whole one in UTC. */
  per: z.enum(['minute', 'hour', 'day']),
  tools: z.array(z.string()),
})
export type Budget = Readonly<z.infer<typeof Budget>>

export const TableServer = z.strictObject({
  /** `<server>@<spec hash>` of the generation that serves; `<server>@<hash of its URL>` for one that runs elsewhere. */
  generation: z.string(),
  /** `http://host:port` of the generation that serves (a whole origin, without a path); absent while one is replaced stop-first. */
  upstream: z.string().optional(),
  /** Path of the MCP endpoint on the upstream, for example `/mcp`. */
  path: z.string(),
  /** Prefix of its tools on the joint endpoint; empty for none. */
  prefix: z.string(),
  description: z.string(),
  /** Longest time of one call without progress, ms. */
  timeout: z.number().int().positive(),
  /** Optional HTTP path that must answer 2xx, on top of the MCP probe. */
  health: z.string().optional(),
  /** Absent where no tool of it is pinned. */
  pins: Pins.optional(),
  credential: Credential.optional(),
  /** By name; absent where there is none. */
  budgets: z.record(z.string(), Budget).optional(),
})
export type TableServer = Readonly<z.infer<typeof TableServer>>

/** A generation that does not serve: one to probe, or one that only finishes what it has. */
export const Standby = z.strictObject({
  generation: z.string(),
  server: z.string(),
  upstream: z.string(),
  path: z.string(),
  health: z.string().optional(),
  pins: Pins.optional(),
  credential: Credential.optional(),
})
export type Standby = Readonly<z.infer<typeof Standby>>

/** All that passes from controller to proxy. Replaced whole; `revision` only grows. */
export const Table = z.strictObject({
  revision: z.number().int().nonnegative(),
  /** Where grants are written, in words for a refusal: `<repository> manifests/permissions.yaml`; never with a credential. */
  grantsFile: z.string(),
  agents: z.record(z.string(), TableAgent),
  servers: z.record(z.string(), TableServer),
  starting: z.array(Standby),
  draining: z.array(Standby),
})
export type Table = Readonly<z.infer<typeof Table>>

/** What a proxy last learned of a generation by asking it as an agent would. */
export const Probe = z.strictObject({
  ok: z.boolean(),
  /** Good answers in a row, counted up to 3: three make a generation ready. */
  good: z.number().int().nonnegative(),
  /** When it was last asked, ms since the epoch. */
  at: z.number(),
  era: z.enum(['modern', 'legacy']).optional(),
  tools: z.array(z.string()).optional(),
  error: z.string().optional(),
  /** Whether it answers, and refuses who asks: HTTP 401 or 403. */
  refused: z.boolean().optional(),
  /** The server's own words in its bad answer: for operators alone, for a server may say its secrets. */
  said: z.string().optional(),
})
export type Probe = Readonly<z.infer<typeof Probe>>

/** A tool that differs from what is pinned. */
export const ToolDrift = z.strictObject({
  tool: z.string(),
  /** Against the pinned one: of another definition, there although it was never reviewed, or not there. */
  change: z.enum(['changed', 'new', 'gone']),
  /** Hash of its definition now. */
  hash: z.string().optional(),
  /** Canonical JSON of that, where it is not too long. */
  definition: z.string().optional(),
})
export type ToolDrift = Readonly<z.infer<typeof ToolDrift>>

/** What a tool says that it should not. */
export const ToolSuspicion = z.strictObject({
  tool: z.string(),
  kind: z.enum(suspectKinds),
  at: z.string(),
  what: z.string(),
})
export type ToolSuspicion = Readonly<z.infer<typeof ToolSuspicion>>

/** What of a server cannot be reached at the joint endpoint, where something else is called the same. */
export const Clash = z.strictObject({
  kind: z.enum(['tool', 'prompt', 'resource']),
  /** At the joint endpoint. */
  name: z.string(),
  /** The server that is reached by it. */
  of: z.string(),
})
export type Clash = Readonly<z.infer<typeof Clash>>

export const GenerationReport = z.strictObject({
  /** Calls in flight. */
  calls: z.number().int().nonnegative(),
  /** Legacy sessions that still live on it. */
  sessions: z.number().int().nonnegative(),
  probe: Probe.optional(),
  /** Absent where there is none. */
  drift: z.array(ToolDrift).optional(),
  suspicions: z.array(ToolSuspicion).optional(),
  clashes: z.array(Clash).optional(),
})
export type GenerationReport = Readonly<z.infer<typeof GenerationReport>>

/** What has been taken of a budget in the time that runs now, by all proxies together. */
export const BudgetUse = z.strictObject({
  used: z.number().int().nonnegative(),
  calls: z.number().int().positive(),
  per: Budget.shape.per,
  /** When it is given anew, ms since the epoch. */
  resets: z.number().int(),
})
export type BudgetUse = Readonly<z.infer<typeof BudgetUse>>

/** The body of `POST /table`: who asks, which revision has taken effect there, and what it sees. */
export const Report = z.strictObject({
  proxy: z.string(),
  have: z.number().int().nonnegative(),
  counters: z.record(z.string(), z.number()),
  generations: z.record(z.string(), GenerationReport),
  /** Of the generations that the last answer asked about (`asksHeader`), as far as they are known. */
  definitions: z.record(z.string(), z.array(Definition)).optional(),
  /** By server and name; absent where there is none. */
  budgets: z.record(z.string(), z.record(z.string(), BudgetUse)).optional(),
})
export type Report = Readonly<z.infer<typeof Report>>

/** The longest a poll is held open, ms; then it is answered 204. */
export const pollHold = 25_000

/** Header of an answer to a poll: generations, with commas between them, whose tools the next report should define. */
export const asksHeader = 'gateway-asks'
