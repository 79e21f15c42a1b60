import type { Grant } from '#manifests/table.ts'
import { allows, isWhole, type Kind } from './grant.ts'
import { isRecord, type Message } from './message.ts'
import { Refusal, type RefusalName } from './refusal.ts'

/** Methods that name nothing that is granted by name. Under a grant of parts, a method that is not known here is not sent. */
const harmless: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'server/discover',
  'logging/setLevel',
  'tools/list',
  'prompts/list',
  'resources/list',
  'resources/templates/list',
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
  'notifications/elicitation/complete',
])

const unknown = {
  tools: 'unknown-tool',
  prompts: 'unknown-prompt',
  resources: 'unknown-resource',
} as const satisfies Record<Kind, RefusalName>

/** Why a message may not be sent under a grant; undefined if it may. What is not granted is refused as what does not exist. */
export function judge(grant: Grant, message: Message): Refusal | undefined {
  if (isWhole(grant) || message.kind === 'response' || harmless.has(message.method)) return undefined
  const { params } = message
  switch (message.method) {
    case 'tools/call':
      return judgeName(grant, 'tools', params.name)
    case 'prompts/get':
      return judgeName(grant, 'prompts', params.name)
    case 'resources/read':
    case 'resources/subscribe':
    case 'resources/unsubscribe':
      return judgeName(grant, 'resources', params.uri)
    case 'completion/complete':
      return judgeReference(grant, params.ref)
    case 'subscriptions/listen':
      return judgeSubscriptions(grant, params.notifications)
    default:
      return new Refusal('unknown-method', { method: message.method })
  }
}

function judgeName(grant: Grant, kind: Kind, name: unknown): Refusal | undefined {
  if (typeof name !== 'string') return new Refusal('params', { why: 'what is asked for must be named by a string' })
  if (allows(grant, kind, name)) return undefined
  return new Refusal(unknown[kind], { name }, kind === 'resources' ? { data: { uri: name } } : {})
}

function judgeReference(grant: Grant, ref: unknown): Refusal | undefined {
  if (isRecord(ref) && ref.type === 'ref/prompt') return judgeName(grant, 'prompts', ref.name)
  if (isRecord(ref) && ref.type === 'ref/resource') return judgeName(grant, 'resources', ref.uri)
  return new Refusal('params', { why: 'ref must be of type ref/prompt or ref/resource' })
}

function judgeSubscriptions(grant: Grant, notifications: unknown): Refusal | undefined {
  const uris = isRecord(notifications) ? (notifications.resourceSubscriptions ?? []) : []
  if (!Array.isArray(uris)) return new Refusal('params', { why: 'resourceSubscriptions must be a list' })
  return uris.map((uri: unknown) => judgeName(grant, 'resources', uri)).find((refusal) => refusal !== undefined)
}
