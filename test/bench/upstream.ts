import { createServer } from 'node:http'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio'
import { z } from 'zod'
import { portOf } from '../support/port.ts'

/**
 * Servers to measure with, in a process of their own: `node upstream.ts plain|sdk|stdio [tools] [servers]`. Those over HTTP print a
 * line with their ports. `echo` says its text again, as long as `size` says.
 */
const [kind = 'plain', tools = '10', servers = '1'] = process.argv.slice(2)
const names = Array.from({ length: Number(tools) }, (_, index) => (index === 0 ? 'echo' : `tool_${index}`))

function mcpServer() {
  const server = new McpServer({ name: 'bench', version: '1' })
  const description = 'says it again'
  for (const name of names)
    server.registerTool(name, { description, inputSchema: z.object({ text: z.string() }) }, ({ text }) => ({
      content: [{ type: 'text', text }],
    }))
  return server
}

function sdk() {
  return createServer(toNodeHandler(createMcpHandler(mcpServer)))
}

const list = names.map((name) => ({
  name,
  description: 'says it again',
  inputSchema: { type: 'object', properties: { text: { type: 'string' } } },
}))
const results: Readonly<Record<string, object>> = {
  'server/discover': { supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, resultType: 'complete' },
  'tools/list': { tools: list, resultType: 'complete' },
}
const said = new Map<number, string>()

function called(size: number): object {
  const text = said.get(size) ?? 'x'.repeat(size)
  said.set(size, text)
  return { content: [{ type: 'text', text }], resultType: 'complete' }
}

/** Does nothing but answer, so that what is measured is what stands before it. */
function plain() {
  return createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString())
      const result = method === 'tools/call' ? called(Number(params.arguments.size ?? 200)) : (results[method] ?? {})
      const text = JSON.stringify({ jsonrpc: '2.0', id, result })
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
        .end(text)
    })
  })
}

if (kind === 'stdio') await mcpServer().connect(new StdioServerTransport())
else {
  const open = Array.from({ length: Number(servers) }, kind === 'sdk' ? sdk : plain)
  await Promise.all(open.map((server) => new Promise<void>((done) => server.listen(0, '127.0.0.1', done))))
  console.log(open.map(portOf).join(' '))
}
