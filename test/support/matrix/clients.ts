import { Client as V2Client, StreamableHTTPClientTransport as V2Transport } from '@modelcontextprotocol/client'
import { Client as V1Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as V1Transport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'
import { createScissors } from './scissors.ts'

export interface CallOptions {
  readonly signal?: AbortSignal
  readonly timeout?: number
  readonly onprogress?: (step: { readonly progress: number }) => void
}

/** An official client, whichever it is, and what it was asked and told. */
export interface MatrixClient extends AsyncDisposable {
  /** As it was negotiated. */
  readonly era: 'legacy' | 'modern' | undefined
  readonly sessionId: string | undefined
  /** Messages of questions that it was asked, and addresses that it was sent to. */
  readonly asked: readonly string[]
  /** Of the resources that changed, and `tools` for that list. */
  readonly told: readonly string[]
  tools(): Promise<readonly string[]>
  /** Of all pages, or of those from a cursor on. */
  prompts(from?: string): Promise<readonly string[]>
  /** The text of the result; throws where it is an error. */
  call(name: string, args?: Readonly<Record<string, unknown>>, options?: CallOptions): Promise<string>
  /** Wants to be told of a resource, or of the list of tools. */
  subscribe(uri: string): Promise<unknown>
  hearOfTools(): Promise<unknown>
  /** Cuts the answers that it reads. */
  cut(): void
  endSession(): Promise<void>
}

export const clientKinds = ['v1', 'v2 legacy', 'v2 auto', 'v2 pin'] as const
export type ClientKind = (typeof clientKinds)[number]

/** The era that a client speaks with the gateway, which has both at every address. */
export const eraOf = (kind: ClientKind) => (kind === 'v1' || kind === 'v2 legacy' ? 'legacy' : 'modern')

export function connectMatrixClient(kind: ClientKind, url: string, headers: Record<string, string>) {
  return kind === 'v1' ? connectV1(url, headers) : connectV2(kind, url, headers)
}

const info = { name: 'matrix', version: '1' }
const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} }
const reconnectionOptions = {
  initialReconnectionDelay: 50,
  maxReconnectionDelay: 1_000,
  reconnectionDelayGrowFactor: 2,
  maxRetries: 5,
}
const limit = 20_000

/** What it answers, and what it noted of it. */
function createPerson() {
  const asked: string[] = []
  const told: string[] = []
  return {
    asked,
    told,
    elicit: (params: { readonly message: string; readonly url?: unknown }) => {
      asked.push(params.message)
      if (params.url === undefined) return { action: 'accept' as const, content: { name: 'Ann' } }
      asked.push(String(params.url))
      return { action: 'accept' as const }
    },
    sample: () => ({
      model: 'none',
      role: 'assistant' as const,
      content: { type: 'text' as const, text: 'words like leaves' },
    }),
    roots: () => ({ roots: [{ uri: 'file:///home/ann' }] }),
  }
}

async function connectV1(url: string, headers: Record<string, string>): Promise<MatrixClient> {
  const { fetch, cut } = createScissors()
  const { asked, told, ...person } = createPerson()
  const client = new V1Client(info, { capabilities })
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => person.elicit(params))
  client.setRequestHandler(CreateMessageRequestSchema, person.sample)
  client.setRequestHandler(ListRootsRequestSchema, person.roots)
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => void told.push('tools'))
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void told.push(params.uri))
  const transport = new V1Transport(new URL(url), { fetch, requestInit: { headers }, reconnectionOptions })
  await client.connect(transport)
  return {
    era: 'legacy',
    get sessionId() {
      return transport.sessionId
    },
    asked,
    told,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    prompts: async (from) => {
      const names: string[] = []
      let cursor = from
      do {
        const { prompts, nextCursor } = await client.listPrompts({ cursor })
        names.push(...prompts.map(({ name }) => name))
        cursor = nextCursor
      } while (cursor !== undefined)
      return names
    },
    call: async (name, args = {}, options = {}) =>
      textOf(await client.callTool({ name, arguments: args }, undefined, { timeout: limit, ...options })),
    subscribe: (uri) => client.subscribeResource({ uri }),
    hearOfTools: async () => undefined,
    cut,
    endSession: () => transport.terminateSession(),
    [Symbol.asyncDispose]: () => client.close(),
  }
}

const modes = { 'v2 legacy': 'legacy', 'v2 auto': 'auto', 'v2 pin': { pin: '2026-07-28' } } as const

async function connectV2(
  kind: keyof typeof modes,
  url: string,
  headers: Record<string, string>,
): Promise<MatrixClient> {
  const { fetch, cut } = createScissors()
  const { asked, told, ...person } = createPerson()
  const client = new V2Client(info, { capabilities, versionNegotiation: { mode: modes[kind] } })
  client.setRequestHandler('elicitation/create', ({ params }) => person.elicit(params))
  client.setRequestHandler('sampling/createMessage', person.sample)
  client.setRequestHandler('roots/list', person.roots)
  client.setNotificationHandler('notifications/tools/list_changed', () => void told.push('tools'))
  client.setNotificationHandler('notifications/resources/updated', ({ params }) => void told.push(params.uri))
  const transport = new V2Transport(new URL(url), { fetch, requestInit: { headers }, reconnectionOptions })
  await client.connect(transport)
  const era = client.getProtocolEra()
  const isModern = era === 'modern'
  return {
    era,
    get sessionId() {
      return transport.sessionId
    },
    asked,
    told,
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    prompts: async (cursor) =>
      (await client.listPrompts(cursor === undefined ? {} : { cursor })).prompts.map(({ name }) => name),
    call: async (name, args = {}, options = {}) =>
      textOf(await client.callTool({ name, arguments: args }, { timeout: limit, ...options })),
    subscribe: (uri) =>
      isModern ? client.listen({ resourceSubscriptions: [uri] }) : client.subscribeResource({ uri }),
    hearOfTools: async () => isModern && client.listen({ toolsListChanged: true }),
    cut,
    endSession: () => transport.terminateSession(),
    [Symbol.asyncDispose]: () => client.close(),
  }
}

const Called = z.looseObject({
  content: z.array(z.looseObject({ text: z.string() })),
  isError: z.boolean().default(false),
})

function textOf(result: unknown): string {
  const { content, isError } = Called.parse(result)
  const text = content.map((one) => one.text).join()
  if (isError) throw new Error(text)
  return text
}
