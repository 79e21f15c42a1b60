import {
  acceptedContent,
  completable,
  inputRequired,
  type McpServer,
  ResourceNotFoundError,
  ResourceTemplate,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import { png } from './conformance-media.ts'

const user = (text: string) => ({ role: 'user' as const, content: { type: 'text' as const, text } })

/** Prompts by the names that the suite calls them. */
export function registerPrompts(server: McpServer): void {
  server.registerPrompt('test_simple_prompt', { description: 'A simple prompt' }, () => ({
    messages: [user('This is a simple prompt for testing.')],
  }))
  const arg1 = completable(z.string(), (begun) => ['paris', 'park', 'party'].filter((word) => word.startsWith(begun)))
  const argsSchema = z.object({ arg1, arg2: z.string() })
  server.registerPrompt('test_prompt_with_arguments', { description: 'With arguments', argsSchema }, (args) => ({
    messages: [user(`Prompt with arguments: arg1='${args.arg1}', arg2='${args.arg2}'`)],
  }))
  const embedded = { description: 'With a resource', argsSchema: z.object({ resourceUri: z.string() }) }
  server.registerPrompt('test_prompt_with_embedded_resource', embedded, ({ resourceUri: uri }) => {
    const resource = { uri, mimeType: 'text/plain', text: 'Embedded resource content for testing.' }
    const content = { type: 'resource' as const, resource }
    return { messages: [{ role: 'user', content }, user('Please process the embedded resource above.')] }
  })
  server.registerPrompt('test_prompt_with_image', { description: 'With an image' }, () => ({
    messages: [
      { role: 'user', content: { type: 'image', data: png, mimeType: 'image/png' } },
      user('Please analyze the image above.'),
    ],
  }))
  server.registerPrompt('test_input_required_result_prompt', { description: 'Asks first' }, ({ mcpReq }) => {
    const given = acceptedContent<{ context: string }>(mcpReq.inputResponses, 'user_context')
    if (given !== undefined) return { messages: [user(`In the context of ${given.context}`)] }
    const message = 'What context should the prompt use?'
    const properties = { context: { type: 'string' as const } }
    const requestedSchema = { type: 'object' as const, properties, required: ['context'] }
    return inputRequired({ inputRequests: { user_context: inputRequired.elicit({ message, requestedSchema }) } })
  })
}

/** Resources by the URIs that the suite reads. */
export function registerResources(server: McpServer): void {
  const plain = { description: 'For the suite', mimeType: 'text/plain' }
  server.registerResource('static-text', 'test://static-text', plain, (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }],
  }))
  server.registerResource('static-binary', 'test://static-binary', { ...plain, mimeType: 'image/png' }, (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'image/png', blob: png }],
  }))
  server.registerResource('watched-resource', 'test://watched-resource', plain, (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'Watched.' }],
  }))
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined })
  const json = { ...plain, mimeType: 'application/json' }
  server.registerResource('template', template, json, (uri, { id }) => {
    if (typeof id !== 'string') throw new ResourceNotFoundError(uri.href)
    const text = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` })
    return { contents: [{ uri: uri.href, mimeType: 'application/json', text }] }
  })
}
