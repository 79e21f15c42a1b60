import { pino } from 'pino'
import type { Config } from '../config/config.ts'
import type { Host } from '../host.ts'
import { openConfiguredHost } from '../open-host.ts'
import { runController } from '../run.ts'
import { checkout, readVersion } from './checkout.ts'
import { Fault } from './fault.ts'

/** Runs a controller of this checkout until the signal. Throws a Fault where an operator must act. */
export async function runHere(config: Config, signal: AbortSignal): Promise<void> {
  const log = logOf(config)
  const openHost = (opening: AbortSignal) => openConfiguredHost(config, { folder: checkout, log }, opening)
  try {
    await runController(config, { version: readVersion(), log, signal, openHost })
  } catch (cause) {
    if (!signal.aborted) throw new Fault(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

/** The host that the configuration names, as a controller of this checkout would open it. */
export function openHostHere(config: Config, signal: AbortSignal): Promise<Host> {
  return openConfiguredHost(config, { folder: checkout, log: logOf(config) }, signal)
}

/** Beside what a verb tells, which is on stdout. */
function logOf({ logLevel }: Config) {
  return pino({ level: logLevel }, pino.destination(2))
}
