/** What `stubProduct`'s proxy answers to every request. */
export interface StubAnswer {
  readonly version: string
  readonly env: Readonly<Record<string, string>>
}

/**
 * Files of a product whose proxy only says who it is: a host's way with proxies is tested without the proxy. It listens
 * where its environment says, beside others, closes each connection, and lets go of its socket first when it ends.
 */
export function stubProduct(version: string): Readonly<Record<string, string>> {
  return {
    'package.json': JSON.stringify({ name: 'stub-product', private: true, type: 'module' }),
    'package-lock.json': JSON.stringify({ name: 'stub-product', lockfileVersion: 3, packages: {} }),
    'manifests/table.ts': 'export const nothing = 0\n',
    'proxy/main.ts': `
import { createServer } from 'node:http'

const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name.startsWith('GATEWAY_')))
const [, host, port] = /^(.*):(\\d+)$/.exec(process.env.GATEWAY_PROXY_LISTEN ?? '') ?? []
const server = createServer((_, answer) => {
  answer.setHeader('connection', 'close')
  answer.end(JSON.stringify({ version: ${JSON.stringify(version)}, env }))
})
server.listen({ host, port: Number(port), reusePort: true }, () => console.log('proxy listens'))
process.on('SIGTERM', () => server.close(() => process.exit(0)))
`,
  }
}
