import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { Agent } from 'undici'
import { asksHeader, pollHold, type Report, Table } from '#manifests/table.ts'

export interface PollOptions {
  /** Path of the controller's socket. */
  readonly socket: string
  /** What this proxy sees now, and what it was asked about. */
  readonly report: (asks: readonly string[]) => Report
  /** Puts a table in force; false if it is not newer than what is held. */
  readonly take: (table: Table) => Promise<boolean>
  readonly log: Logger
}

/** The long poll: `run` until its signal ends, `speakUp` to be heard before the open poll is answered. */
export interface Poll {
  run(signal: AbortSignal): Promise<void>
  speakUp(): void
}

/** Between two times of speaking up, ms. */
const breath = 50
const grace = 10_000
const firstPause = 100
const longestPause = 5_000

interface Outcome {
  readonly is: 'fine' | 'nothing-new'
  /** Generations that the controller asks about. */
  readonly asks: readonly string[]
}

const fine: Outcome = { is: 'fine', asks: [] }

export function createPoll(options: PollOptions): Poll {
  let hurry = new AbortController()
  let spoke = 0
  let timer: NodeJS.Timeout | undefined
  const speak = () => {
    spoke = Date.now()
    timer = undefined
    hurry.abort()
  }
  return {
    speakUp: () => {
      timer ??= setTimeout(speak, Math.max(0, spoke + breath - Date.now()))
    },
    run: async (signal) => {
      const agent = new Agent({
        connect: { socketPath: options.socket, timeout: grace },
        headersTimeout: 0,
        bodyTimeout: grace,
      })
      let failures = 0
      let asks: Outcome['asks'] = []
      while (!signal.aborted) {
        hurry = new AbortController()
        const either = AbortSignal.any([signal, hurry.signal])
        const [outcome, error] = await once(agent, options, asks, either).then(
          (done) => [done] as const,
          (failed: unknown) => (either.aborted ? ([fine] as const) : ([undefined, failed] as const)),
        )
        asks = outcome?.asks ?? []
        failures = outcome?.is === 'fine' ? 0 : failures + 1
        if (failures === 1)
          options.log.warn(
            { err: error ?? 'nothing-new' },
            'the controller does not give a table; serving from the last one',
          )
        if (failures > 0) await pause(failures, signal)
      }
      clearTimeout(timer)
      await agent.destroy()
    },
  }
}

async function once(
  agent: Agent,
  { report, take }: PollOptions,
  asks: Outcome['asks'],
  signal: AbortSignal,
): Promise<Outcome> {
  const response = await agent.request({
    origin: 'http://controller',
    path: '/table',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(report(asks)),
    signal: AbortSignal.any([signal, AbortSignal.timeout(pollHold + grace)]),
  })
  const text = await response.body.text()
  if (response.statusCode === 204) return { is: 'fine', asks: asksOf(response.headers[asksHeader]) }
  if (response.statusCode !== 200)
    throw new Error(`the controller answered HTTP ${response.statusCode}: ${text.slice(0, 200)}`)
  return (await take(Table.parse(JSON.parse(text)))) ? fine : { is: 'nothing-new', asks: [] }
}

function asksOf(header: string | string[] | undefined): Outcome['asks'] {
  return String(header ?? '')
    .split(',')
    .filter((generation) => generation !== '')
}

async function pause(failures: number, signal: AbortSignal): Promise<void> {
  const longest = Math.min(longestPause, firstPause * 2 ** (failures - 1))
  await sleep(longest * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined)
}
