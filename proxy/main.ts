import { once } from 'node:events'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { type Logger, pino } from 'pino'
import type { PackedTable } from '#manifests/packed-table.ts'
import { createApp } from './app.ts'
import { openBudgetStore } from './budget-store.ts'
import { type Config, ConfigError, readConfig } from './config.ts'
import { closeGateway, createGateway, type Gateway } from './gateway.ts'
import { type Keep, openKeep } from './keep.ts'
import { prepareLeaving } from './leave.ts'
import { createPoll } from './poll.ts'
import { reportOf } from './report.ts'
import { readSealKey } from './seal.ts'
import { openSessionStore } from './session-store.ts'
import { callOffSuspended } from './suspension.ts'

/** Runs a proxy until it is told to leave. */
async function main(config: Config, log: Logger): Promise<void> {
  const stop = new AbortController()
  using keep = await openKeep(config.state)
  const sealKey = await readSealKey(config.state)
  const stateFile = join(config.state, 'state.db')
  using store = openSessionStore(stateFile)
  using budgetStore = openBudgetStore(stateFile)
  const stores = { store, budgetStore }
  const gateway = createGateway({ config, log, sealKey, ...stores, speakUp: () => poll.speakUp(), signal: stop.signal })
  const poll = createPoll({
    socket: config.socket,
    report: (asks) => reportOf(gateway, asks),
    take: (table, text) => take({ table, text }, { gateway, keep, log, signal: stop.signal }),
    log,
  })
  await recall(gateway, keep)
  const server = createApp(gateway)
  const leave = prepareLeaving(server, gateway.exchanges)
  const told = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  await listen(server, config.listen)
  log.info({ address: server.address(), revision: gateway.holder.current?.revision }, 'listening')
  const polling = poll.run(stop.signal)
  await told
  log.info('leaving')
  await leave()
  await callOffSuspended(gateway)
  stop.abort()
  await polling
  await closeGateway(gateway)
  log.info('left')
}

/** Shares the port with the proxies before and after it. */
async function listen(server: Server, { host, port }: Config['listen']): Promise<void> {
  server.listen({ host, port, reusePort: true, exclusive: true })
  await once(server, 'listening').catch((cause: unknown) => {
    const taken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE'
    const why = taken ? 'is already in use by another program' : `cannot be listened on: ${String(cause)}`
    throw new ConfigError([`GATEWAY_PROXY_LISTEN: ${host}:${port} ${why}`])
  })
}

interface Arrival {
  readonly table: PackedTable
  /** JSON. */
  readonly text: string
}

interface Taking {
  readonly gateway: Gateway
  readonly keep: Keep
  readonly log: Logger
  readonly signal: AbortSignal
}

/** Puts a table in force, then keeps it; the next poll acknowledges both. A disk that fails does not stop it from being in force. */
async function take({ table, text }: Arrival, { gateway, keep, log, signal }: Taking): Promise<boolean> {
  if (!gateway.holder.replace(table)) return false
  log.info({ revision: table.revision }, 'a table has taken effect')
  await keep
    .save(table.revision, text, signal)
    .catch((err: unknown) => log.error({ err, folder: gateway.config.state }, 'could not keep the table'))
  return true
}

async function recall({ holder, log }: Gateway, keep: Keep): Promise<void> {
  const kept = await keep.load().catch((err: unknown) => {
    log.error({ err }, 'the table that was kept cannot be read; waiting for the controller')
    return undefined
  })
  if (kept !== undefined) holder.replace(kept)
}

try {
  const config = readConfig(process.env)
  // Lines are gathered while one is written; what is left is written when the process ends.
  const destination = pino.destination({ sync: false })
  await main(config, pino({ level: config.level, base: { proxy: config.name } }, destination))
  destination.flushSync()
  process.exit(0)
} catch (error) {
  if (error instanceof ConfigError) for (const line of error.lines) console.error(line)
  else console.error(error instanceof Error ? (error.stack ?? error.message) : error)
  process.exit(1)
}
