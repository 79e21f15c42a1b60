import { randomUUID } from 'node:crypto'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import {
  ErrorCode,
  ListPromptsRequestSchema,
  McpError,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'
import type { Backstage } from './backstage.ts'
import { nameForm, pageOf, promptNames, question, say, words } from './script.ts'

const key = { key: z.string() }

/** What one client of a server of the first SDK generation talks to. It says of whoever stays or is held when its client is gone. */
export function makeV1(backstage: Backstage): McpServer {
  const server = new McpServer({ name: 'v1', version: '1' }, { capabilities: { resources: { subscribe: true } } })
  const staying: string[] = []
  const stay = (one: string) => {
    staying.push(one)
    backstage.say(`stay ${one}`)
  }
  registerTools(server, { backstage, stay })
  registerQuestions(server)
  registerPrompts(server)
  const subscribed = registerResources(server)
  const unlisten = backstage.listen((line) => {
    const [verb, what = ''] = line.split(' ')
    if (verb === 'grow') server.registerTool(what, {}, () => say(what))
    if (verb === 'update' && subscribed.has(what)) void server.server.sendResourceUpdated({ uri: what })
  })
  server.server.onclose = () => {
    unlisten()
    for (const one of staying) backstage.say(`left ${one}`)
  }
  return server
}

interface Company {
  readonly backstage: Backstage
  readonly stay: (key: string) => void
}

function registerTools(server: McpServer, { backstage, stay }: Company): void {
  server.registerTool('echo', { inputSchema: key }, (args) => say(args.key))
  server.registerTool('stay', { inputSchema: key }, (args) => {
    stay(args.key)
    return say('staying')
  })
  server.registerTool('count', {}, async ({ _meta, sendNotification }) => {
    const { progressToken = '' } = _meta ?? {}
    for (let progress = 1; progress <= 3; progress++)
      await sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } })
    return say('counted')
  })
  server.registerTool('hold', { inputSchema: key }, async (args, { _meta, sendNotification, signal }) => {
    const { progressToken = '' } = _meta ?? {}
    stay(args.key)
    await sendNotification({ method: 'notifications/progress', params: { progressToken, progress: 1 } })
    backstage.say(`holding ${args.key}`)
    const outcome = (await backstage.heard(`release ${args.key}`, signal)) ? 'released' : 'cancelled'
    backstage.say(`${outcome} ${args.key}`)
    return say(`${outcome} ${args.key}`)
  })
}

/** Servers ask in either way: beside all requests, as most of them do, or within the request that it is about. */
function registerQuestions(server: McpServer): void {
  server.registerTool('form', {}, async () => {
    const { content } = await server.server.elicitInput({ message: question.form, requestedSchema: nameForm })
    return say(`hello ${content?.name}`)
  })
  server.registerTool('visit', {}, async ({ requestId }) => {
    const params = { mode: 'url', message: question.visit, url: question.url, elicitationId: randomUUID() } as const
    const { action } = await server.server.elicitInput(params, { relatedRequestId: requestId })
    return say(`visit: ${action}`)
  })
  server.registerTool('sample', {}, async () => {
    const messages = [{ role: 'user' as const, content: words(question.sample) }]
    const { content } = await server.server.createMessage({ messages, maxTokens: 100 })
    return say(`it wrote ${content.type === 'text' ? content.text : content.type}`)
  })
  server.registerTool('roots', {}, async ({ requestId }) => {
    const { roots } = await server.server.listRoots({}, { relatedRequestId: requestId })
    return say(roots.map(({ uri }) => uri).join())
  })
}

function registerPrompts(server: McpServer): void {
  for (const name of promptNames) server.registerPrompt(name, {}, () => ({ messages: [] }))
  server.server.setRequestHandler(ListPromptsRequestSchema, ({ params }) => {
    const page = pageOf(params?.cursor)
    if (page === undefined) throw new McpError(ErrorCode.InvalidParams, 'no such cursor')
    return page
  })
}

/** The URIs that its client subscribes to. */
function registerResources(server: McpServer): ReadonlySet<string> {
  const subscribed = new Set<string>()
  server.registerResource('one', 'demo://one', {}, ({ href }) => ({ contents: [{ uri: href, text: 'one' }] }))
  server.server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
    subscribed.add(params.uri)
    return {}
  })
  server.server.setRequestHandler(UnsubscribeRequestSchema, ({ params }) => {
    subscribed.delete(params.uri)
    return {}
  })
  return subscribed
}
