import { createServer } from 'node:http'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'

/** A server to measure with, in a process of its own: `node upstream.ts sdk|plain`; its last line of output is its port. */

function sdk() {
  const handler = createMcpHandler(() => {
    const server = new McpServer({ name: 'bench', version: '1' })
    const echo = { description: 'says it again', inputSchema: z.object({ text: z.string() }) }
    server.registerTool('echo', echo, ({ text }) => ({ content: [{ type: 'text', text }] }))
    return server
  })
  return createServer(toNodeHandler(handler))
}

/** Does nothing but answer, so that what is measured is the proxy. */
function plain() {
  const results: Readonly<Record<string, object>> = {
    'server/discover': { supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, resultType: 'complete' },
    'tools/list': { tools: [{ name: 'echo', inputSchema: { type: 'object' } }], resultType: 'complete' },
    'tools/call': { content: [{ type: 'text', text: 'x'.repeat(200) }], resultType: 'complete' },
  }
  return createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { id, method } = JSON.parse(Buffer.concat(chunks).toString())
      const text = JSON.stringify({ jsonrpc: '2.0', id, result: results[method] ?? {} })
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
        .end(text)
    })
  })
}

const server = process.argv[2] === 'sdk' ? sdk() : plain()
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  console.log(typeof address === 'object' ? address?.port : '')
})
