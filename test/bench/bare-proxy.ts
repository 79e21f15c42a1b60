import { hash } from 'node:crypto'
import { Agent, createServer, request } from 'node:http'

/**
 * The least that a gateway in Node can do, to compare with: it hashes the token, looks it up, and forwards.
 * `node bare-proxy.ts <port> <upstream port> <token hash>`
 */
const [port, upstream, holder] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true })
const holders = new Map([[holder, 'a']])

createServer((asked, answer) => {
  const token = asked.headers.authorization?.slice('Bearer '.length) ?? ''
  if (!holders.has(hash('sha256', token))) return answer.writeHead(401).end()
  const { authorization: _, ...headers } = asked.headers
  const options = { agent, host: '127.0.0.1', port: Number(upstream), path: asked.url, method: asked.method, headers }
  const passed = request(options, (answered) => {
    answer.writeHead(answered.statusCode ?? 502, answered.headers)
    answered.pipe(answer)
  })
  passed.once('error', () => answer.destroy())
  return asked.pipe(passed)
}).listen(Number(port), '127.0.0.1')
