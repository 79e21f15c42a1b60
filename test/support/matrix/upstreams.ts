import { randomUUID } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { createMcpHandler } from '@modelcontextprotocol/server'
import { createEventStore } from '../event-store.ts'
import { portOf } from '../port.ts'
import { openWrapper } from '../stdio.ts'
import { Backstage, openStageDoor } from './backstage.ts'
import { makeV1 } from './server-v1.ts'
import { makeV2 } from './server-v2.ts'

/** A real server at one address, which can be started again there. */
export interface MatrixUpstream extends AsyncDisposable {
  readonly origin: string
  readonly backstage: Backstage
  /** Ends it with all that it knows, and starts it at the same address. */
  restart(): Promise<void>
}

/** By what they are made with and which era they speak: both, the newer one only, or the older one with sessions. */
export const upstreamKinds = ['v1 sessionful', 'v2 strict', 'v2 default', 'stdio'] as const
export type UpstreamKind = (typeof upstreamKinds)[number]

export function openMatrixUpstream(kind: UpstreamKind): Promise<MatrixUpstream> {
  const backstage = new Backstage()
  switch (kind) {
    case 'v1 sessionful':
      return openHttp(backstage, () => sessionful(backstage))
    case 'v2 strict':
      return openHttp(backstage, () => handlerOf(backstage, 'reject'))
    case 'v2 default':
      return openHttp(backstage, () => handlerOf(backstage, 'stateless'))
    case 'stdio':
      return openStdio(backstage)
  }
}

interface Serving {
  readonly listener: RequestListener
  close(): void
}

async function openHttp(backstage: Backstage, serve: () => Serving): Promise<MatrixUpstream> {
  let serving = serve()
  let server = createServer((...both) => serving.listener(...both))
  const start = (port: number) => new Promise<void>((done) => server.listen(port, '127.0.0.1', done))
  await start(0)
  const port = portOf(server)
  const stop = async () => {
    serving.close()
    server.closeAllConnections()
    await new Promise((done) => server.close(done))
  }
  return {
    origin: `http://127.0.0.1:${port}`,
    backstage,
    restart: async () => {
      await stop()
      serving = serve()
      server = createServer((...both) => serving.listener(...both))
      await start(port)
    },
    [Symbol.asyncDispose]: stop,
  }
}

function sessionful(backstage: Backstage): Serving {
  const transports = new Map<string, StreamableHTTPServerTransport>()
  const begin = async () => {
    const transport: StreamableHTTPServerTransport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: createEventStore(),
      retryInterval: 100,
      onsessioninitialized: (id) => void transports.set(id, transport),
      onsessionclosed: (id) => void transports.delete(id),
    })
    await makeV1(backstage).connect(transport)
    return transport
  }
  const answer: RequestListener = async (request, response) => {
    const id = request.headers['mcp-session-id']
    const transport = typeof id === 'string' ? transports.get(id) : await begin()
    if (transport !== undefined) return transport.handleRequest(request, response)
    response.writeHead(404, { 'content-type': 'application/json' })
    response.end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"Session not found"},"id":null}')
  }
  return {
    listener: answer,
    close: () => {
      for (const transport of transports.values()) void transport.close()
    },
  }
}

function handlerOf(backstage: Backstage, legacy: 'reject' | 'stateless'): Serving {
  const handler = createMcpHandler(() => makeV2(backstage), { legacy })
  const unlisten = backstage.listen((line) => {
    const [verb, what = ''] = line.split(' ')
    if (verb === 'grow') handler.notify.toolsChanged()
    if (verb === 'update') handler.notify.resourceUpdated(what)
  })
  const listener = toNodeHandler(handler)
  return {
    listener: (request, response) => void listener(request, response),
    close: () => {
      unlisten()
      void handler.close()
    },
  }
}

/** A program behind the wrapper, as `stdio: true` starts it. */
async function openStdio(backstage: Backstage): Promise<MatrixUpstream> {
  const door = await openStageDoor(backstage)
  const command = [process.execPath, join(import.meta.dirname, 'program.ts')]
  const options = { sessions: 64, env: { STAGE_DOOR: `${door.port}` } }
  let wrapper = await openWrapper(command, options)
  const { origin } = wrapper
  return {
    origin,
    backstage,
    restart: async () => {
      await wrapper[Symbol.asyncDispose]()
      wrapper = await openWrapper(command, { ...options, port: Number(new URL(origin).port) })
    },
    [Symbol.asyncDispose]: async () => {
      await wrapper[Symbol.asyncDispose]()
      await door[Symbol.asyncDispose]()
    },
  }
}
