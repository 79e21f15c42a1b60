import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Config } from '../config/config.ts'
import { readState, WrongValue } from '../config/variable.ts'
import { halt } from '../halt.ts'
import { takeLease } from '../lease.ts'
import { noSandbox } from '../process/process.ts'
import { makeFolder } from '../state-folder.ts'
import { tellNews, type Welcome } from './announce.ts'
import { ask } from './ask.ts'
import { checkout } from './checkout.ts'
import { type Demo, openDemo } from './demo.ts'
import { configure, environmentOf, remember } from './environment.ts'
import { Fault } from './fault.ts'
import { addressOf, demandFree } from './port.ts'
import { print } from './print.ts'
import { openHostHere, runHere } from './product.ts'
import { type Choice, chooseRuntime, type Runtime } from './runtime.ts'
import { stopOnSignals } from './signals.ts'

/** ms that stopping may take: a server has ten seconds to end. */
const stopWithin = 60_000

interface Options {
  readonly runtime?: Runtime
  readonly repo?: string
  readonly port?: number
  readonly state: string
}

export function addStart(program: Command): void {
  const runtime = new Option('--runtime <kind>', 'what servers run in').choices(['docker', 'process'])
  program
    .command('start')
    .description('a gateway in this checkout, until Ctrl-C')
    .addOption(runtime.env('GATEWAY_RUNTIME'))
    .addOption(new Option('--repo <url>', 'gateway repository, instead of a demo').env('GATEWAY_REPO'))
    .option('--port <n>', 'where agents connect; the status page is 10 further', readPort)
    .addOption(
      new Option('--state <dir>', 'folder for all that is kept')
        .env('GATEWAY_STATE')
        .default(join(checkout, '.gateway'), '.gateway of this checkout'),
    )
    .action((options: Options) => start(options))
}

function readPort(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 1 && port <= 65_525) return port
  throw new InvalidArgumentError('It is a whole number from 1 to 65525.')
}

async function start(options: Options): Promise<void> {
  const signal = stopOnSignals(() => print('\nstopping …'))
  const state = await openState(options.state)
  using _held = holdState(state)
  const choice = await choose(options.runtime, signal)
  print(`runtime: ${choice.runtime}, ${choice.because}`)
  if (choice.runtime === 'process') print(noSandbox)
  const demo = options.repo === undefined ? await openDemo(checkout, state, choice.runtime) : undefined
  const repository = options.repo ?? demo?.repository ?? ''
  const environment = environmentOf({ state, repo: repository, runtime: choice.runtime, port: options.port })
  const config = configure(environment)
  await demandFree(config.proxy.listen, 'gateway')
  await demandFree(config.status.listen, 'nothing')
  await remember(state, environment)
  print(`waiting for the first server of ${repository} …`)
  await runUntil(signal, config, welcomeTo(config, demo))
}

/** Runs the controller until the signal, then stops what it runs; containers stay, so that the next start is quick. */
async function runUntil(signal: AbortSignal, config: Config, welcome: Welcome): Promise<void> {
  const ended = new AbortController()
  const news = tellNews({ state: config.state }, welcome, AbortSignal.any([signal, ended.signal]))
  try {
    await runHere(config, signal)
  } finally {
    ended.abort()
    await news
  }
  await stopAll(config)
}

async function stopAll(config: Config): Promise<void> {
  const late = AbortSignal.timeout(stopWithin)
  try {
    await using host = await openHostHere(config, late)
    await halt(host, late)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Fault(`not all that runs could be stopped: ${reason}; "gateway down" removes it`, { cause })
  }
}

/** From making the demo to stopping what runs: a controller holds the state of its own accord, but not as long as that. */
function holdState(state: string): Disposable {
  const lease = takeLease(join(state, 'start.db'))
  if (lease === undefined)
    throw new Fault(`another start begins or ends in ${state} just now; --state DIR and --port N start one beside it`)
  return lease
}

/** The folder, made where it is missing. Throws a Fault if a controller runs in it. */
async function openState(folder: string): Promise<string> {
  const state = readFolder(folder)
  await makeFolder(state, 0o700).catch((cause: unknown) => {
    throw new Fault(`--state ${state} cannot be made: ${cause instanceof Error ? cause.message : cause}`, { cause })
  })
  const up = await ask({ state }, { path: '/healthz' }).catch(() => undefined)
  if (up !== undefined) throw new Fault(`a controller runs in ${state} already; --state DIR and --port N start another`)
  return realpath(state)
}

function readFolder(folder: string): string {
  try {
    return readState(folder)
  } catch (cause) {
    if (cause instanceof WrongValue) throw new Fault(`--state: ${cause.message}`, { cause })
    throw cause
  }
}

async function choose(asked: Runtime | undefined, signal: AbortSignal): Promise<Choice> {
  return asked === undefined ? chooseRuntime(signal) : { runtime: asked, because: 'as asked' }
}

function welcomeTo({ proxy, status, source }: Config, demo: Demo | undefined): Welcome {
  return {
    endpoint: proxy.url ?? addressOf(proxy.listen),
    here: addressOf(proxy.listen),
    page: `${status.url ?? addressOf(status.listen)}/`,
    repository: source.repo,
    token: demo?.token,
    example: demo?.example,
    leftOut: demo?.leftOut ?? [],
  }
}
