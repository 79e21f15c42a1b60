import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { usual } from './environment.ts'
import { connectV2, type McpClient } from './mcp-clients.ts'
import { until } from './until.ts'

const Line = z.looseObject({ url: z.string().optional() })

/** A server's own program on a free port, for what is no test; disposing ends it. */
export interface RenderServer extends AsyncDisposable {
  readonly url: string
  readonly pid: number
  readonly client: McpClient
}

/** Starts `servers/<name>/main.ts`, and waits until `/readyz` says that it can draw. */
export async function openRenderServer(
  name: string,
  env: Readonly<Record<string, string>> = {},
): Promise<RenderServer> {
  const main = fileURLToPath(new URL(`../../servers/${name}/main.ts`, import.meta.url))
  const child = spawn(process.execPath, [main], {
    env: { ...usual, PORT: '0', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = once(child, 'exit')
  const dispose = async () => {
    child.kill()
    await ended
  }
  try {
    const url = await addressIn(child.stderr, name)
    await until(`${name} can draw`, async () => (await fetch(`${url}/readyz`)).status === 200, 60_000)
    const client = await connectV2('modern')(`${url}/mcp`)
    return { url, pid: child.pid ?? 0, client, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** Where its log says that it listens. */
async function addressIn(log: Readable, name: string): Promise<string> {
  const lines = createInterface(log)
  return await new Promise((found, failed) => {
    lines.on('line', (line) => {
      const { url } = Line.parse(JSON.parse(line))
      if (url !== undefined) found(url)
    })
    lines.once('close', () => failed(new Error(`${name} ended before it listened`)))
  })
}
