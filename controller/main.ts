import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { z } from 'zod'
import { readConfig } from './config/config.ts'
import { openConfiguredHost } from './open-host.ts'
import { runController } from './run.ts'

const product = fileURLToPath(new URL('..', import.meta.url))
const { version } = z.object({ version: z.string() }).parse(JSON.parse(readFileSync(`${product}package.json`, 'utf8')))

const stopping = new AbortController()
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stopping.abort(new Error(name)))

try {
  const config = readConfig(process.env)
  const log = pino({ level: config.logLevel })
  const openHost = (signal: AbortSignal) => openConfiguredHost(config, { folder: product, log }, signal)
  await runController(config, { version, log, signal: stopping.signal, openHost })
} catch (error) {
  if (!stopping.signal.aborted) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exitCode = 1
  }
}
