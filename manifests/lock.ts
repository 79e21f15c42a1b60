import { z } from 'zod'
import { Definition } from './definition.ts'
import { ServerName } from './name.ts'
import { suspectKinds } from './suspect.ts'
import { text } from './text.ts'

const Fields = z.record(z.string(), z.unknown())

/** A tool as it was reviewed. */
export const LockedTool = z.strictObject({
  hash: text(/^sha256:[0-9a-f]{64}$/, 'a hash: sha256: and 64 hex digits').describe('Of all that follows but `allow`.'),
  title: z.string().optional().describe('Its name for people.'),
  description: z.string().optional().describe('What models read of it.'),
  inputSchema: Fields.optional().describe('What it takes, as JSON Schema.'),
  outputSchema: Fields.optional().describe('What it gives, as JSON Schema.'),
  annotations: Fields.optional().describe('What it says of itself, such as `readOnlyHint`.'),
  allow: z
    .array(z.enum(suspectKinds))
    .optional()
    .describe(
      'What was looked at and is meant: characters that are not seen, letters that look Latin, names of other servers’ tools.',
    ),
})
export type LockedTool = Readonly<z.infer<typeof LockedTool>>

/** `manifests/tools.lock.yaml`, which `gateway lock` writes: by server, by tool. */
export const LockFile = z.record(ServerName, z.record(z.string(), LockedTool))
export type LockFile = Readonly<Record<string, Readonly<Record<string, LockedTool>>>>

/** What the tools of a server are now, or why that is not known. */
export const ListedServer = z.strictObject({
  server: z.string(),
  tools: z.array(Definition).optional(),
  error: z.string().optional(),
})
export type ListedServer = Readonly<z.infer<typeof ListedServer>>
