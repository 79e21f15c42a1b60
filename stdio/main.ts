import { once } from 'node:events'
import { answer } from './door.ts'
import { say } from './log.ts'
import { Sessions } from './sessions.ts'
import { readSettings, type Settings } from './settings.ts'
import { Stateless } from './stateless.ts'

/** Not by `import`, which reads each export of `http`, and one of them brings all of `fetch` with it: 14 MB for each stdio server. */
const { createServer } = process.getBuiltinModule('node:http')

/** Serves a program that speaks MCP on stdin and stdout over HTTP: `node main.ts [--path /mcp …] -- program argument …`. */
async function main(settings: Settings): Promise<void> {
  process.stderr.on('error', () => {}) // nobody reads the log any more, and clients are served all the same
  const house = { settings, sessions: new Sessions(settings), stateless: new Stateless(settings) }
  const server = createServer((request, response) => void answer(house, request, response))
  server.keepAliveTimeout = 72_000
  server.listen(settings.port, settings.host)
  await once(server, 'listening')
  say(`serving ${settings.command[0]} at http://${settings.host}:${settings.port}${settings.path}`)
  await new Promise((told) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT']) process.on(signal, told)
  })
  server.close()
  await Promise.all([house.sessions.close(), house.stateless.close()])
  process.exit(0)
}

try {
  await main(readSettings(process.argv.slice(2), process.env))
} catch (error) {
  say(`stdio: ${error instanceof Error ? error.message : error}`)
  process.exit(1)
}
