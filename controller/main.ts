import { pino } from 'pino'
import { checkout, readVersion } from './cli/checkout.ts'
import { readConfig } from './config/config.ts'
import { openConfiguredHost } from './open-host.ts'
import { runController } from './run.ts'

const stopping = new AbortController()
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stopping.abort(new Error(name)))

try {
  const config = readConfig(process.env)
  const log = pino({ level: config.logLevel })
  const openHost = (signal: AbortSignal) => openConfiguredHost(config, { folder: checkout, log }, signal)
  await runController(config, { version: readVersion(), log, signal: stopping.signal, openHost })
} catch (error) {
  if (!stopping.signal.aborted) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`)
    process.exitCode = 1
  }
}
