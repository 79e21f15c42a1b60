import type { Visit } from './visit.ts'

export interface Audited {
  readonly server: string | undefined
  readonly method: string
  /** Name of the tool or prompt, as its server calls it. */
  readonly tool: string | undefined
  /** `ok`, the name of a refusal, or what else came of it. */
  readonly outcome: string
  /** When it began, ms of `performance.now()`. */
  readonly since: number
  /** Of the answer. */
  readonly bytes: number
}

const called: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read'])

/** Writes the one line that stays of a call. Never what was said in it. */
export function audit({ gateway: { log }, agent }: Visit, audited: Audited): void {
  const isCall = called.has(audited.method)
  if (!log.isLevelEnabled(isCall ? 'info' : 'debug')) return
  const { server, method, tool, outcome, bytes, since } = audited
  const line = { agent, server, method, tool, outcome, bytes, duration: Math.round(performance.now() - since) }
  if (isCall) log.info(line, 'call')
  else log.debug(line, 'request')
}
