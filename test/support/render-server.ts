import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { connectV2, type McpClient } from './mcp-clients.ts'

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
    env: { PATH: process.env.PATH, PORT: '0', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = once(child, 'exit')
  const lines = createInterface(child.stderr)
  const url = await new Promise<string>((found, failed) => {
    lines.on('line', (line) => {
      const { url: told } = Line.parse(JSON.parse(line))
      if (told !== undefined) found(told)
    })
    lines.once('close', () => failed(new Error(`${name} ended before it listened`)))
  })
  while ((await fetch(`${url}/readyz`)).status !== 200) await new Promise((done) => setTimeout(done, 100))
  const client = await connectV2('modern')(`${url}/mcp`)
  const dispose = async () => {
    await client.close()
    child.kill()
    await ended
  }
  return { url, pid: child.pid ?? 0, client, [Symbol.asyncDispose]: dispose }
}
