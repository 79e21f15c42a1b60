import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { PackedTable } from '#manifests/packed-table.ts'
import { asksHeader, pollHold, type Report } from '#manifests/table.ts'
import { request } from './http.ts'

export interface PollOptions {
  /** Path of the controller's socket. */
  readonly socket: string
  /** What this proxy sees now, and what it was asked about. */
  readonly report: (asks: readonly string[]) => Report
  /** Puts a table in force, of which this is the JSON text; false if it is not newer than what is held. */
  readonly take: (table: PackedTable, text: string) => Promise<boolean>
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
      let failures = 0
      let asks: Outcome['asks'] = []
      while (!signal.aborted) {
        hurry = new AbortController()
        const either = AbortSignal.any([signal, hurry.signal])
        const [outcome, error] = await pollOnce(options, asks, either).then(
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
    },
  }
}

async function pollOnce(
  { socket, report, take }: PollOptions,
  asks: Outcome['asks'],
  signal: AbortSignal,
): Promise<Outcome> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(pollHold + grace)])
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  const headers = { 'content-type': 'application/json' }
  request({ socketPath: socket, path: '/table', method: 'POST', headers, agent: false, signal: limit }, resolve)
    .on('error', reject)
    .end(JSON.stringify(report(asks)))
  const response = await promise
  const text = Buffer.concat(await response.toArray()).toString()
  if (response.statusCode === 204) return { is: 'fine', asks: asksOf(response.headers[asksHeader]) }
  if (response.statusCode !== 200)
    throw new Error(`the controller answered HTTP ${response.statusCode}: ${text.slice(0, 200)}`)
  return (await take(PackedTable.parse(JSON.parse(text)), text)) ? fine : { is: 'nothing-new', asks: [] }
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
