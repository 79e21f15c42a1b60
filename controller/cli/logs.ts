import { type Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { addWhere, ask, listen, type Where } from './ask.ts'
import { Fault } from './fault.ts'
import { print, printJson } from './print.ts'

interface Options extends Where {
  readonly follow?: boolean
  readonly build?: boolean
  readonly tail: number
  readonly json?: boolean
}

const Log = z.object({ log: z.string() })
const most = 10_000

export function addLogs(program: Command): void {
  addWhere(program.command('logs'))
    .description('what a server prints; "gateway" is the proxy')
    .argument('<server>')
    .option('-f, --follow', 'go on with what it says, until Ctrl-C')
    .option('--tail <n>', `how many of the last lines, at most ${most}`, readTail, 200)
    .option('--build', 'the output of its last build instead')
    .option('--json', 'as JSON; with --follow a document for each part')
    .action(showLogs)
}

async function showLogs(server: string, options: Options): Promise<void> {
  const { follow = false, build = false, tail, json = false } = options
  if (follow && build)
    throw new Fault('logs: --follow or --build, not both: "reconcile --wait" shows a build as it runs')
  const path = `/logs/${encodeURIComponent(server)}?tail=${tail}`
  if (follow) return await followLogs(options, `${path}&follow=true`)
  const { log } = Log.parse(await ask(options, { path: `${path}&build=${build}` }))
  if (json) printJson({ log })
  else if (log !== '') print(log)
}

/** Ends with Ctrl-C, or with whoever reads it. */
async function followLogs(options: Options, path: string): Promise<void> {
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  process.stdout.once('error', () => stop.abort())
  try {
    for await (const part of listen(options, { path, signal: stop.signal }))
      if (options.json) printJson({ log: part })
      else print(part, '')
  } catch (error) {
    if (!stop.signal.aborted) throw error
  }
}

function readTail(text: string): number {
  const tail = Number(text)
  if (/^\d+$/.test(text) && tail <= most) return tail
  throw new InvalidArgumentError(`It is a whole number from 0 to ${most}.`)
}
