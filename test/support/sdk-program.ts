import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { legacyServer } from './legacy-server.ts'
import { modernServer } from './modern-server.ts'

/** The servers of the official SDKs on stdin and stdout: `v1`, `v2`, or `v2-strict`, which does not speak to legacy clients at all. */
const [, , kind] = process.argv

if (kind === 'v1') await legacyServer(new Set()).connect(new StdioServerTransport())
else serveStdio(growing, { legacy: kind === 'v2-strict' ? 'reject' : 'serve' })

/** It can be cancelled, and can have more tools. */
function growing() {
  const server = modernServer()
  let tools = 0
  server.registerTool('wait', { description: 'waits until it is ended' }, async (ctx) => {
    process.stderr.write('waiting\n')
    await new Promise((done) => ctx.mcpReq.signal.addEventListener('abort', done))
    process.stderr.write('cancelled\n')
    return { content: [] }
  })
  server.registerTool('grow', { description: 'has one tool more' }, () => {
    server.registerTool(`tool-${++tools}`, { description: 'new' }, () => ({ content: [] }))
    return { content: [{ type: 'text' as const, text: `${process.pid}` }] }
  })
  return server
}
