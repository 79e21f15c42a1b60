import { acceptedContent, completable, inputRequired, McpServer, ResourceTemplate } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { text, type Words } from './words.ts'

/** The same in the second SDK generation as far as it goes, and a list, a form, a link, a template and a prompt whose argument can be completed. */
export function modernServer(said: Words = {}): McpServer {
  const server = new McpServer({ name: 'new', version: '2' }, { capabilities: { resources: { subscribe: true } } })
  const echo = { description: said.echo ?? 'says it again', inputSchema: z.object({ text: z.string() }) }
  server.registerTool('echo', echo, ({ text: words }) => text(words))
  if (said.fresh !== undefined) server.registerTool('fresh', { description: said.fresh }, () => text('fresh'))
  server.registerTool('secret', { description: 'not for all' }, () => text('secret'))
  server.registerTool('list', { description: 'a list', outputSchema: z.array(z.number()) }, () => ({
    ...text('1'),
    structuredContent: [1, 2],
  }))
  server.registerTool('count', { description: 'counts' }, async (ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken
    for (let progress = 1; progress <= 3 && progressToken !== undefined; progress++)
      await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 3 } })
    return text('counted')
  })
  server.registerTool('ask', { description: 'asks a person' }, async (ctx) => {
    const answer = await ctx.mcpReq.elicitInput({
      message: 'name?',
      requestedSchema: { type: 'object', properties: { name: { type: 'string' } } },
    })
    return text(`hello ${JSON.stringify(answer)}`)
  })
  server.registerTool('form', { description: 'asks a person by its answer' }, (ctx) => {
    const given = acceptedContent<{ name: string }>(ctx.mcpReq.inputResponses, 'who')
    if (given !== undefined) return text(`hello ${given.name}, ${String(ctx.mcpReq.requestState())}`)
    const requestedSchema = { type: 'object' as const, properties: { name: { type: 'string' as const } } }
    return inputRequired({
      inputRequests: { who: inputRequired.elicit({ message: 'name?', requestedSchema }) },
      requestState: 'state of the server',
    })
  })
  server.registerTool('link', { description: 'points to a resource' }, () => ({
    content: [
      { type: 'resource_link' as const, uri: 'demo://one', name: 'one' },
      { type: 'resource' as const, resource: { uri: 'demo://item/1', text: 'item 1' } },
    ],
  }))
  const word = completable(z.string(), (begun) => ['red', 'green'].filter((colour) => colour.startsWith(begun)))
  server.registerPrompt(
    'paint',
    { description: 'in a colour', argsSchema: z.object({ word }) },
    ({ word: colour }) => ({
      messages: [{ role: 'user', content: { type: 'text', text: colour } }],
    }),
  )
  server.registerResource('one', 'demo://one', {}, (uri) => ({ contents: [{ uri: uri.href, text: 'new one' }] }))
  const template = new ResourceTemplate('demo://item/{id}', {
    list: undefined,
    complete: { id: (begun) => ['17', '4'].filter((id) => id.startsWith(begun)) },
  })
  server.registerResource('item', template, {}, (uri, { id }) => ({
    contents: [{ uri: uri.href, text: `item ${String(id)}` }],
  }))
  return server
}
