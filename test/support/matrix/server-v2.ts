import {
  type CallToolResult,
  type InputRequest,
  type InputRequiredResult,
  type InputResponseView,
  inputRequired,
  inputResponse,
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { Backstage } from './backstage.ts'
import { nameForm, pageOf, promptNames, question, say, words } from './script.ts'

const inputSchema = z.object({ key: z.string() })

/** What one request, or one session, of a server of the second SDK generation talks to. */
export function makeV2(backstage: Backstage): McpServer {
  const server = new McpServer({ name: 'v2', version: '2' }, { capabilities: { resources: { subscribe: true } } })
  server.registerTool('echo', { inputSchema }, ({ key }) => say(key))
  server.registerTool('count', {}, async ({ mcpReq }) => {
    for (let progress = 1; progress <= 3; progress++) await report(mcpReq, { progress, total: 3 })
    return say('counted')
  })
  server.registerTool('hold', { inputSchema }, async ({ key }, { mcpReq }) => {
    await report(mcpReq, { progress: 1 })
    backstage.say(`holding ${key}`)
    const outcome = (await backstage.heard(`release ${key}`, mcpReq.signal)) ? 'released' : 'cancelled'
    backstage.say(`${outcome} ${key}`)
    return say(`${outcome} ${key}`)
  })
  server.registerTool('stay', { inputSchema }, () => say('nobody stays'))
  for (const name of backstage.cued('grow')) server.registerTool(name, {}, () => say(name))
  registerQuestions(server)
  for (const name of promptNames) server.registerPrompt(name, {}, () => ({ messages: [] }))
  server.server.setRequestHandler('prompts/list', ({ params }) => {
    const page = pageOf(params?.cursor)
    if (page === undefined) throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'no such cursor')
    return page
  })
  server.registerResource('one', 'demo://one', {}, ({ href }) => ({ contents: [{ uri: href, text: 'one' }] }))
  return server
}

async function report(mcpReq: ServerContext['mcpReq'], step: { progress: number; total?: number }): Promise<void> {
  const { progressToken = '' } = mcpReq._meta ?? {}
  await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, ...step } })
}

/** What it wants back as it gave it out. */
const state = 'asked, "twice"'

/** Tools that ask by their answer, which the SDK makes requests of for a session of the older era. */
function registerQuestions(server: McpServer): void {
  const ask = (name: string, request: InputRequest, tell: (given: InputResponseView) => string | undefined) =>
    server.registerTool(name, {}, ({ mcpReq }): CallToolResult | InputRequiredResult => {
      const told = tell(inputResponse(mcpReq.inputResponses, 'it'))
      const isKnown = mcpReq.requestState() === state
      return told !== undefined && isKnown
        ? say(told)
        : inputRequired({ inputRequests: { it: request }, requestState: state })
    })
  ask('form', inputRequired.elicit({ message: question.form, requestedSchema: nameForm }), (given) =>
    given.kind === 'elicit' ? `hello ${given.content?.name}` : undefined,
  )
  ask('visit', inputRequired.elicitUrl({ message: question.visit, url: question.url }), (given) =>
    given.kind === 'elicit' ? `visit: ${given.action}` : undefined,
  )
  const messages = [{ role: 'user' as const, content: words(question.sample) }]
  ask('sample', inputRequired.createMessage({ messages, maxTokens: 100 }), (given) =>
    given.kind === 'sampling' ? `it wrote ${wordsOf(given.result.content)}` : undefined,
  )
  ask('roots', inputRequired.listRoots(), (given) =>
    given.kind === 'roots' ? given.roots.map(({ uri }) => uri).join() : undefined,
  )
}

function wordsOf(content: unknown): string {
  return z.object({ text: z.string() }).parse(content).text
}
