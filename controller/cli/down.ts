import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { addState, ask, usualStates, type Where } from './ask.ts'
import { recall } from './environment.ts'
import { Unanswered } from './fault.ts'
import { print, printJson } from './print.ts'
import { openHostHere } from './product.ts'

/** ms */
const within = 330_000

interface Options extends Where {
  readonly volumes?: boolean
  readonly json?: boolean
}

export function addDown(program: Command): void {
  addState(program.command('down'))
    .description('stop and remove all that this gateway runs; its repository and state stay')
    .option('--volumes', 'and what its servers keep')
    .option('--json', 'as JSON')
    .action(async (options: Options) => {
      await takeDown(options)
      if (options.json) printJson({ status: 'down' })
      else print('all that this gateway ran is gone')
    })
}

/** The controller does it; where it was stopped already, we do. */
async function takeDown(options: Options): Promise<void> {
  const volumes = options.volumes === true
  try {
    await ask(options, { method: 'POST', path: `/down?volumes=${volumes}`, within })
  } catch (error) {
    const state = options.state ?? usualStates.find((folder) => existsSync(folder))
    if (!(error instanceof Unanswered) || state === undefined || !existsSync(state)) throw error
    const signal = AbortSignal.timeout(within)
    await using host = await openHostHere(await recall(resolve(state)), signal)
    await host.down({ volumes }, signal)
  }
}
