import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { McpServer } from '@modelcontextprotocol/server'
import { type Aside, createDoor } from './door.ts'
import { type Environment, readEnvironment, settingsSchema } from './environment.ts'
import { log } from './log.ts'

export interface Info {
  readonly name: string
  readonly version: string
  /** What a model should know before it uses the tools. */
  readonly instructions?: string
}

export interface Options {
  /** The reason why tools cannot work now, or nothing when they can. Asked by `/readyz`, at most 5 s long. */
  readonly ready?: () => Promise<string | undefined>
  /** Answers at paths of the server's own; no browser's request comes to it. */
  readonly aside?: Aside
  /** Ends what the tools used; called once, after the last call. */
  readonly stop?: () => Promise<void>
  /** Default: the process's. `HOST`, `PORT` and `LOG_LEVEL` are read. */
  readonly environment?: Environment
}

export interface Served {
  /** `http://host:port`; MCP is at `/mcp`. */
  readonly url: string
  /** Takes no new calls, gives those in flight 5 s, closes every connection; may be called again. */
  readonly close: () => Promise<void>
}

/**
 * Serves MCP over HTTP, of both protocol eras and without sessions: `register` fills a new server for each request.
 * @throws Error with one line when the environment is wrong or the address cannot be had.
 */
export async function serve(info: Info, register: (server: McpServer) => void, options: Options = {}): Promise<Served> {
  const settings = readEnvironment(settingsSchema, options.environment)
  log.level = settings.LOG_LEVEL
  const { name, version, instructions } = info
  const create = () => {
    const server = new McpServer({ name, version }, instructions === undefined ? {} : { instructions })
    register(server)
    return server
  }
  const { ready = async () => undefined, aside = async () => false } = options
  const door = createDoor(create, { ready, aside })
  const url = await listen(door.server, settings.HOST, settings.PORT)
  log.info({ url, name, version }, 'listening')
  let closing: Promise<void> | undefined
  const stop = async () => {
    await door.close()
    await options.stop?.()
  }
  return { url, close: () => (closing ??= stop()) }
}

async function listen(server: Server, host: string, port: number): Promise<string> {
  await new Promise<void>((listening, failed) => {
    server.once('error', (cause) => failed(new Error(refused(cause, host, port), { cause })))
    server.listen(port, host, listening)
  })
  return `http://${host.includes(':') ? `[${host}]` : host}:${boundPort(server.address(), port)}`
}

function boundPort(address: AddressInfo | string | null, asked: number): number {
  return address instanceof Object ? address.port : asked
}

function refused(cause: NodeJS.ErrnoException, host: string, port: number): string {
  switch (cause.code) {
    case 'EADDRINUSE':
      return `PORT=${port}: another program listens on ${host}:${port}; stop it or give another port`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `HOST=${JSON.stringify(host)}: this machine has no such address`
    case 'EACCES':
      return `PORT=${port}: this user may not listen there; give a port from 1024 on`
    default:
      return `cannot listen on ${host}:${port}: ${cause.message}`
  }
}
