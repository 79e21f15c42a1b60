import { baseImage } from './machine.ts'

/** Files of a server of one tool, `say`: the word that its environment has, after `ms` milliseconds. Needs no npm. */
export const sayServer = {
  Dockerfile: `FROM ${baseImage}\nWORKDIR /srv\nCOPY main.mjs .\nCMD ["node", "main.mjs"]\n`,
  'main.mjs': `
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

const answers = {
  initialize: ({ protocolVersion }) =>
    ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'say', version: '1.0.0' } }),
  'tools/list': () => ({ tools: [{ name: 'say', inputSchema: { type: 'object' } }] }),
  'tools/call': async ({ arguments: { ms = 0 } }) => {
    await sleep(ms)
    return { content: [{ type: 'text', text: process.env.WORD ?? 'nothing' }] }
  },
}
const server = createServer(async (request, response) => {
  if (request.method !== 'POST') return response.writeHead(405).end()
  const { id, method, params } = JSON.parse(await text(request))
  if (id === undefined) return response.writeHead(202).end()
  const answer = answers[method]
  const outcome = answer ? { result: await answer(params) } : { error: { code: -32601, message: 'unknown method' } }
  response.setHeader('content-type', 'application/json').end(JSON.stringify({ jsonrpc: '2.0', id, ...outcome }))
})
server.listen(Number(process.env.PORT), process.env.HOST)
`,
}
