import { z } from 'zod'
import { Clash, ToolSuspicion } from './table.ts'

export const CommitPhase = z.enum([
  'seen',
  'verified',
  'planned',
  'applying',
  'applied',
  'degraded',
  'rejected',
  'held',
  'superseded',
])
export type CommitPhase = z.infer<typeof CommitPhase>

export const ServerPhase = z.enum(['ready', 'deploying', 'waiting', 'stalled', 'suspended', 'removed'])
export type ServerPhase = z.infer<typeof ServerPhase>

/** A part of a commit that waits; `plan` is what `gateway approve` is told. */
const HeldPart = z.strictObject({ plan: z.string(), what: z.string(), because: z.string() })

export const CommitStatus = z.strictObject({
  commit: z.string(),
  phase: CommitPhase,
  /** When it was first seen, and when its phase last changed; ISO 8601. */
  seen: z.string(),
  since: z.string(),
  reason: z.string(),
  /** One line for each fault of its manifests. */
  errors: z.array(z.string()),
  /** The plan's text, a line each. */
  plan: z.array(z.string()),
  /** Servers that are not as the commit says, each with its reason; one that is ready was rolled back. */
  servers: z.record(z.string(), z.strictObject({ phase: ServerPhase, reason: z.string() })),
  /** Servers that its plan changes. */
  changed: z.array(z.string()).optional(),
  /** Whether all that it grants is in force at every proxy. */
  grants: z.enum(['waiting', 'published']).optional(),
  /** What is allowed and probably not meant, a line each. */
  warnings: z.array(z.string()).optional(),
  /** Parts that wait until somebody says so. */
  held: z.array(HeldPart).optional(),
  /** Parts that waited and were approved on the machine, a line each, with when. */
  approved: z.array(z.string()).optional(),
  /** The last things that were no longer so on the machine and were put right while it was current, a line each, with when. */
  repaired: z.array(z.string()).optional(),
})
export type CommitStatus = Readonly<z.infer<typeof CommitStatus>>

/** What merging an open pull request would do, as it was last looked at. */
export const PullStatus = z.strictObject({
  number: z.number().int(),
  /** Its commit, and the one of the branch that it was merged with for a look. */
  head: z.string(),
  base: z.string(),
  phase: z.enum(['valid', 'invalid']),
  /** What its author must put right, a line each. */
  errors: z.array(z.string()),
  /** What the merge would do at once, and once all is approved that would be held, where that is another; a line each. */
  plan: z.array(z.string()),
  later: z.array(z.string()).optional(),
  /** What would be held and what releases it, a line each. */
  held: z.array(z.string()),
  warnings: z.array(z.string()),
  /** With the operator token only: who gains and loses what, what loosens the defaults, and what the machine lacks. */
  access: z
    .strictObject({
      escalations: z.array(z.string()),
      gains: z.array(z.string()),
      losses: z.array(z.string()),
      loosens: z.array(z.string()),
      lacks: z.array(z.string()),
    })
    .optional(),
})
export type PullStatus = Readonly<z.infer<typeof PullStatus>>

/** A tool that differs from what was reviewed. */
export const DriftedTool = z.strictObject({
  tool: z.string(),
  change: z.enum(['changed', 'new', 'gone']),
  /** Whether agents get it as it is, as it was reviewed, or not at all. */
  treated: z.enum(['listed', 'held', 'blocked']),
  /** Hashes of the definition that was reviewed, and of the one that its server gives now. */
  old: z.string().optional(),
  new: z.string().optional(),
  /** Parts that differ; with the operator token only, what they were and are. */
  differs: z
    .array(z.strictObject({ part: z.string(), old: z.string().optional(), new: z.string().optional() }))
    .optional(),
})
export type DriftedTool = Readonly<z.infer<typeof DriftedTool>>

export const ServerStatus = z.strictObject({
  name: z.string(),
  phase: ServerPhase,
  reason: z.string(),
  description: z.string(),
  /** Hash of the generation that serves, and of the one that the commit asks for. */
  serving: z.string().optional(),
  wanted: z.string().optional(),
  /** First commit that asked for what serves. */
  commit: z.string().optional(),
  era: z.enum(['modern', 'legacy']).optional(),
  tools: z.array(z.string()).optional(),
  calls: z.number().optional(),
  /** Tools that differ from `manifests/tools.lock.yaml`. */
  drift: z.array(DriftedTool).optional(),
  /** What tools say that they should not: where, and what. */
  suspicions: z.array(ToolSuspicion).optional(),
  /** What cannot be reached at the joint endpoint, because something else is called the same there. */
  clashes: z.array(Clash).optional(),
  /** What has been taken of its budgets, as a proxy last said; `resets` is when they are given anew, ISO 8601. */
  budgets: z
    .record(
      z.string(),
      z.strictObject({
        used: z.number(),
        calls: z.number(),
        per: z.enum(['minute', 'hour', 'day']),
        resets: z.string(),
      }),
    )
    .optional(),
  /** Whether an operator has rolled it back, until the branch changes it. */
  pinned: z.boolean().optional(),
  /** With the operator token only: last lines of the output of what failed. */
  log: z.string().optional(),
})
export type ServerStatus = Readonly<z.infer<typeof ServerStatus>>

/** The reason of source and host before the first look at them. */
export const unasked = 'not yet asked'

export const Status = z.strictObject({
  instance: z.string(),
  version: z.string(),
  repository: z.string(),
  branch: z.string(),
  /** The source: whether the last look at the repository succeeded. */
  source: z.strictObject({ ok: z.boolean(), reason: z.string(), at: z.string().optional() }),
  host: z.strictObject({
    ok: z.boolean(),
    reason: z.string(),
    /** Bytes: free where builds are stored, and taken by our builds and by the host's build cache; absent what is not known. */
    disk: z
      .strictObject({ free: z.number().optional(), images: z.number().optional(), cache: z.number().optional() })
      .optional(),
  }),
  /** Where agents are let in by a file on the machine: whether it is right. */
  breakGlass: z.strictObject({ ok: z.boolean(), reason: z.string() }).optional(),
  /** Whether the forge takes what it is told; absent where it is told nothing. */
  forge: z.strictObject({ ok: z.boolean(), reason: z.string() }).optional(),
  /** Whether the forge announces what is pushed; absent where it is not asked to. */
  webhook: z.strictObject({ ok: z.boolean(), reason: z.string() }).optional(),
  /** What this machine cannot give, and what that costs; a line each. */
  remarks: z.array(z.string()).optional(),
  /** Attempted and applied are different facts. */
  attempted: CommitStatus.optional(),
  applied: z.string().optional(),
  revision: z.number().int(),
  proxies: z.array(z.strictObject({ name: z.string(), have: z.number().int(), live: z.boolean(), reason: z.string() })),
  servers: z.array(ServerStatus),
  /** With the operator token only: who may use what. */
  access: z.record(z.string(), z.record(z.string(), z.array(z.string()))).optional(),
})
export type Status = Readonly<z.infer<typeof Status>>
