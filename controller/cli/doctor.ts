import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { Status } from '#manifests/status.ts'
import type { Config } from '../config/config.ts'
import { type Check, fail, ok, warn } from '../doctor/check.ts'
import { checkForgeToken } from '../doctor/forge.ts'
import { checkDisk, checkKernel, checkSecrets, checkState } from '../doctor/machine.ts'
import { checkForge, checkRepository, checkStatus } from '../doctor/outside.ts'
import { checkRuntime } from '../doctor/runtime.ts'
import { addState, ask, usualStates, type Where } from './ask.ts'
import { recall } from './environment.ts'
import { Fault, Unanswered } from './fault.ts'
import { columns, print, printJson } from './print.ts'
import { baseImage } from './runtime.ts'

export function addDoctor(program: Command): void {
  addState(program.command('doctor'))
    .description(
      'whether all that a gateway needs is there, with what to do where it is not; works without a controller, too',
    )
    .option('--json', 'as JSON')
    .action(async (options: Where & { readonly json?: boolean }) => {
      const checks = await examine(options)
      if (options.json) printJson({ ok: !checks.some(isFailure), checks })
      else print(columns(checks.map(({ verdict, what, is }) => [verdict, what, is])))
      if (checks.some(isFailure)) process.exitCode = 1
    })
}

function isFailure({ verdict }: Check): boolean {
  return verdict === 'fail'
}

async function examine(where: Where): Promise<readonly Check[]> {
  const state = resolve(where.state ?? usualStates.find((folder) => existsSync(folder)) ?? '/var/lib/gateway')
  const config = await configured(state)
  const configuration =
    'lines' in config ? config.lines.map((line) => fail('configuration', line)) : [ok('configuration', 'can be read')]
  const machine = [await checkState(state), await checkDisk(state)]
  const answer = await controllerIn(state)
  if ('lines' in config) return [...configuration, ...machine, ...(await heard(answer, undefined))]
  return [
    ...configuration,
    ...machine,
    await checkSecrets(config.secrets),
    ...(await checkRuntime(config, baseImage)),
    ...(config.runtime === 'docker' ? [checkKernel()] : []),
    ...checkForge(config),
    ...(await checkForgeToken(config)),
    ...(await heard(answer, config)),
  ]
}

/** As the gateway of this state was started, and else as the environment says. */
async function configured(state: string): Promise<Config | { readonly lines: readonly string[] }> {
  try {
    return await recall(state)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return { lines: error.message.split('\n') }
  }
}

async function controllerIn(state: string): Promise<Status | { readonly reason: string }> {
  try {
    return Status.parse(await ask({ state }, { path: '/status' }))
  } catch (error) {
    if (error instanceof Unanswered)
      return { reason: `none runs in ${state}: what runs goes on, nothing is deployed; start it` }
    return { reason: error instanceof Fault ? error.message : `it is of another version than this program` }
  }
}

async function heard(
  answer: Status | { readonly reason: string },
  config: Config | undefined,
): Promise<readonly Check[]> {
  if (!('reason' in answer)) return [ok('controller', `version ${answer.version} answers`), ...checkStatus(answer)]
  const repository = config === undefined ? [] : [await checkRepository(config)]
  return [warn('controller', answer.reason), ...repository]
}
