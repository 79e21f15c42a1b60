import { z } from 'zod'
import { HttpPath, ImageRef, OutsideUrl } from './address.ts'
import { Build } from './build.ts'
import { Prefix, SecretName, ServerName, ToolName, Value, VariableName } from './name.ts'
import { duration, Memory } from './quantity.ts'
import { wrongCharacters } from './suspect.ts'
import { found, judged, quote } from './text.ts'
import { MountSpec, TmpfsPath, VolumeSpec } from './volume.ts'

const Description = z
  .string()
  .max(2_000)
  .refine((text) => !/[^\P{Cc}\n\t]/u.test(text), {
    error: 'a control character cannot be part of a description',
    abort: true,
  })
  .superRefine((text, context) => {
    const wrong = wrongCharacters(text)
    if (wrong !== undefined)
      context.addIssue({ code: 'custom', message: `what agents read here must be seen: ${wrong}` })
  })

const Argument = judged((value) => (value.includes('\0') ? 'a NUL cannot be part of an argument' : undefined))

/** `KEY`, or `{ KEY: OTHER_NAME }` → the variable, and its name in the secrets file. */
const Secret = z.union([
  SecretName.transform((name) => ({ variable: name, name })),
  z
    .record(SecretName, SecretName)
    .refine((one) => Object.keys(one).length === 1, {
      error: 'expected one { VARIABLE: NAME_IN_THE_SECRETS_FILE } an entry',
    })
    .transform(
      (one) => Object.entries(one).map(([variable, name]) => ({ variable, name }))[0] ?? { variable: '', name: '' },
    ),
])

function wrongUser(value: string): string | undefined {
  if (/^\d{1,9}(?::\d{1,9})?$/.test(value)) return
  return `expected a number such as 10001, found ${quote(value)}${value.startsWith('root') ? ': root is 0, and the plan names it' : ''}`
}

const User = z
  .union([z.int().nonnegative(), judged(wrongUser)], {
    error: ({ input }) => `expected a number such as 10001, found ${found(input)}`,
  })
  .transform(String)

const Limits = z.strictObject({
  memory: Memory.prefault('512m').describe('Memory; a server that needs more is killed.'),
  cpus: z.number().min(0.01).max(1024).prefault(1).describe('Processors, in parts if need be.'),
  pids: z.int().min(1).max(65_536).prefault(256).describe('Processes and threads.'),
})

const Stdio = z.union([
  z.boolean(),
  z.strictObject({
    sessions: z.int().min(1).prefault(8).describe('Programs at once, one a session; together they have `limits`.'),
    idle: duration(1).prefault('10m').describe('Time without a message after which one is stopped.'),
  }),
])

/** What a request is carried by, or what the gateway says in it itself. */
const taken =
  /^(?:accept|accept-encoding|connection|content-.*|expect|host|keep-alive|last-event-id|mcp-.*|te|trailer|transfer-encoding|upgrade|x-session-id)$/i

/** What was found is repeated only where it cannot be the secret itself. */
function wrongHeader(name: string): string | undefined {
  if (!/^[A-Za-z0-9-]{1,64}$/.test(name)) return 'expected the name of a header such as Authorization or X-Api-Key'
  if (taken.test(name)) return `${name} is a header that the gateway sets itself`
}

function wrongScheme(scheme: string): string | undefined {
  if (!/^[A-Za-z0-9-]{0,32}$/.test(scheme)) return 'expected a scheme such as Bearer, or "" for none'
}

const Auth = z.strictObject({
  secret: SecretName.describe('Name in the secrets file.'),
  header: judged(wrongHeader)
    .meta({ pattern: '^[A-Za-z0-9-]{1,64}$' })
    .prefault('Authorization')
    .describe('Header that carries it.'),
  scheme: judged(wrongScheme)
    .meta({ pattern: '^[A-Za-z0-9-]{0,32}$' })
    .prefault('Bearer')
    .describe('Word before it; "" for none.'),
})

const Budget = z.strictObject({
  calls: z.int().min(1).describe('Calls that may be made. One that the server answers with an error is given back.'),
  per: z.enum(['minute', 'hour', 'day']).describe('Time after which they are given anew, in UTC.'),
  tools: z
    .array(ToolName)
    .min(1)
    .refine((tools) => new Set(tools).size === tools.length, { error: 'a tool is in this list twice' })
    .optional()
    .describe('Tools that share them. Default the one of the budget’s name.'),
})

/** `manifests/servers/<name>.yaml`. Exactly one of `build`, `image` and `url`; none of them means `build: servers/<name>`. */
export const ServerFile = z.strictObject({
  description: Description.prefault('').describe('What the server is for, in a line that agents read.'),
  build: Build.optional().describe('How its image is built: a folder, or the keys below. Default `servers/<name>`.'),
  image: ImageRef.optional().describe('An image instead, by its digest.'),
  url: OutsideUrl.optional().describe(
    'A server that runs elsewhere instead; the gateway only routes to it. One that gives out no MCP sessions is sent `X-Session-ID`, one value for each agent and session.',
  ),
  auth: Auth.optional().describe('Credential of the gateway’s own that it sends to `url` with every request.'),
  command: z.array(Argument).min(1).optional().describe('Program and arguments, instead of the image’s own.'),
  stdio: Stdio.prefault(false).describe(
    'Whether the program speaks MCP on stdin and stdout; its image needs nothing for that.',
  ),
  port: z
    .int()
    .min(1)
    .max(65_535)
    .prefault(3000)
    .describe('Port that it listens on; given to it as PORT, with HOST=0.0.0.0.'),
  path: HttpPath.prefault('/mcp').describe('Path of its MCP endpoint.'),
  health: HttpPath.optional().describe('HTTP path that must answer 2xx, on top of the MCP probe.'),
  start: duration(1).prefault('60s').describe('Time that it has to become ready.'),
  timeout: duration(1).prefault('60s').describe('Time of one call without progress.'),
  drain: duration(0).prefault('60s').describe('Time that calls have to end before it is stopped.'),
  env: z.record(VariableName, Value).prefault({}).describe('Variables of its environment.'),
  secrets: z
    .array(Secret)
    .prefault([])
    .describe(
      'Variables whose values are in the secrets file of the machine; `{ KEY: OTHER_NAME }` where it has another name there.',
    ),
  volumes: z
    .array(VolumeSpec)
    .prefault([])
    .describe('Named volumes, `name:/path`, one container at a time unless shared.'),
  mounts: z
    .array(MountSpec)
    .prefault([])
    .describe('Folders that the machine’s operator offers by name in GATEWAY_MOUNTS, `name:/path`, read-only.'),
  limits: Limits.prefault({}).describe('What it may use.'),
  egress: z.boolean().prefault(true).describe('Whether it has a way out, to the internet and to the machine.'),
  user: User.optional().describe('User id, or `uid:gid`. Default the image’s, or 10001 where that is root.'),
  tmpfs: z.array(TmpfsPath).prefault(['/tmp']).describe('Paths that it may write to; all else is read-only.'),
  seccomp: z.enum(['default', 'chromium']).prefault('default').describe('`chromium` lets Chromium’s own sandbox work.'),
  budget: z
    .record(ToolName, Budget)
    .prefault({})
    .describe('Calls that all agents share, by a name: a tool’s, or any with `tools`.'),
  prefix: Prefix.optional().describe(
    'Prefix of its tools on the joint endpoint; "" for none. Default its name, with _ before a digit.',
  ),
  tools: z
    .enum(['warn', 'hold', 'block'])
    .prefault('warn')
    .describe('What happens to a tool that differs from `manifests/tools.lock.yaml`.'),
})
export type ServerFile = Readonly<z.infer<typeof ServerFile>>

/** A server that runs elsewhere, as `servers:` of the permissions file names it. */
export const OutsideServer = z.strictObject({
  url: OutsideUrl.describe('Its MCP endpoint; the machine itself is `host.docker.internal`.'),
  description: Description.prefault('').describe('What it is for.'),
})

export type OutsideServer = Readonly<z.infer<typeof OutsideServer>>

export const OutsideServers = z.record(ServerName, OutsideServer)
