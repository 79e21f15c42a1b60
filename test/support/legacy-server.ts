import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { SubscribeRequestSchema, UnsubscribeRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'
import { text, type Words } from './words.ts'

/** echo, count (three steps of progress), ask (a form for a person), secret, and a name that needs changing. */
export function legacyServer(paused: Set<() => void>, said: Words = {}): McpServer {
  const server = new McpServer(
    { name: 'old', version: '1' },
    { capabilities: { logging: {}, resources: { subscribe: true } } },
  )
  server.server.setRequestHandler(SubscribeRequestSchema, () => ({}))
  server.server.setRequestHandler(UnsubscribeRequestSchema, () => ({}))
  server.registerTool('talk', { description: 'logs in two levels' }, async (extra) => {
    for (const level of ['debug', 'error'] as const)
      await server.sendLoggingMessage({ level, logger: 'db', data: level }, extra.sessionId)
    return text('talked')
  })
  const echo = server.registerTool('echo', { inputSchema: { text: z.string() } }, ({ text: words }) => text(words))
  const fresh = server.registerTool('fresh', {}, () => text('fresh'))
  // A session sees what has changed since it began, as that of a real server does.
  Object.defineProperty(echo, 'description', { get: () => said.echo ?? 'says it again' })
  Object.defineProperties(fresh, {
    description: { get: () => said.fresh },
    enabled: { get: () => said.fresh !== undefined },
  })
  server.registerTool('secret', { description: 'not for all' }, () => text('secret'))
  server.registerTool('dotted.name', { description: 'needs another name' }, () => text('dotted'))
  server.registerTool('count', { description: 'counts' }, async (extra) => {
    const progressToken = extra._meta?.progressToken
    for (let progress = 1; progress <= 3 && progressToken !== undefined; progress++)
      await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } })
    return text('counted')
  })
  server.registerTool('ask', { description: 'asks a person' }, async () => {
    const answer = await server.server.elicitInput({
      message: 'name?',
      requestedSchema: { type: 'object', properties: { name: { type: 'string' } } },
    })
    return text(`hello ${JSON.stringify(answer)}`)
  })
  server.registerTool('wait', { description: 'waits until it is ended' }, async (extra) => {
    await new Promise((done) => extra.signal.addEventListener('abort', done))
    return text('ended')
  })
  server.registerTool('pause', { description: 'waits until the test lets it go on' }, async () => {
    await new Promise<void>((go) => paused.add(go))
    return text('paused')
  })
  server.registerPrompt('greet', { description: 'a greeting' }, () => ({
    messages: [{ role: 'user', content: { type: 'text', text: 'hello' } }],
  }))
  server.registerResource('one', 'demo://one', {}, (uri) => ({ contents: [{ uri: uri.href, text: 'one' }] }))
  server.registerResource('two', 'demo://two', {}, (uri) => ({ contents: [{ uri: uri.href, text: 'two' }] }))
  return server
}
