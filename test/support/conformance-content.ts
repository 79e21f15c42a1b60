import { setTimeout as sleep } from 'node:timers/promises'
import { type CallToolResult, fromJsonSchema, type McpServer, type ServerContext } from '@modelcontextprotocol/server'
import { png, wav } from './conformance-media.ts'

const pause = 50

export const say = (text: string): CallToolResult => ({ content: [{ type: 'text', text }] })
const image = { type: 'image' as const, data: png, mimeType: 'image/png' }

/** Tools that answer by themselves, by the names that the suite calls them. */
export function registerContent(server: McpServer): void {
  const tool = (name: string, answer: (ctx: ServerContext) => CallToolResult | Promise<CallToolResult>) =>
    server.registerTool(name, { description: `Conformance: ${name.replaceAll('_', ' ')}` }, answer)
  const resource = (uri: string, mimeType: string, text: string) => ({
    type: 'resource' as const,
    resource: { uri, mimeType, text },
  })
  tool('test_simple_text', () => say('This is a simple text response for testing.'))
  tool('test_image_content', () => ({ content: [image] }))
  tool('test_audio_content', () => ({ content: [{ type: 'audio', data: wav, mimeType: 'audio/wav' }] }))
  tool('test_embedded_resource', () => ({
    content: [resource('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
  }))
  tool('test_multiple_content_types', () => ({
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      image,
      resource('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
  }))
  tool('test_error_handling', () => {
    throw new Error('This tool intentionally returns an error for testing')
  })
  tool('test_tool_with_logging', logThrice)
  tool('test_logging_tool', logThrice)
  tool('test_tool_with_progress', count)
  tool('test_reconnection', async ({ http }) => {
    http?.closeSSE?.()
    await sleep(2 * pause)
    return say('Reconnection test completed')
  })
  registerSchemas(server)
}

async function logThrice({ mcpReq }: ServerContext): Promise<CallToolResult> {
  for (const words of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
    await mcpReq.log('info', words, 'conformance')
    await sleep(pause)
  }
  return say('Logged')
}

async function count({ mcpReq }: ServerContext): Promise<CallToolResult> {
  const progressToken = mcpReq._meta?.progressToken
  for (const progress of [0, 50, 100]) {
    if (progressToken !== undefined)
      await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } })
    await sleep(pause)
  }
  return say('Counted to 100')
}

/** Keywords that a gateway must not lose. */
const keywords = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  $defs: {
    address: {
      $anchor: 'addressDef',
      type: 'object',
      properties: { street: { type: 'string' }, city: { type: 'string' } },
    },
  },
  properties: {
    name: { type: 'string' },
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: { type: 'string' },
    email: { type: 'string' },
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
  then: { required: ['phone'] },
  else: { required: ['email'] },
} as const

function registerSchemas(server: McpServer): void {
  const described = { description: 'Tool with JSON Schema 2020-12 features', inputSchema: fromJsonSchema(keywords) }
  server.registerTool('json_schema_2020_12_tool', described, (args) => say(JSON.stringify(args)))
  const region = { type: 'string', 'x-mcp-header': 'Region' } as const
  const inputSchema = fromJsonSchema<{ region: string }>({
    type: 'object',
    properties: { region },
    required: ['region'],
  })
  server.registerTool(
    'test_header_parameter',
    { description: 'Repeats a parameter as a header', inputSchema },
    (args) => say(args.region),
  )
}
