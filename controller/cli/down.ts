import type { Command } from 'commander'
import { addState, ask, type Where } from './ask.ts'
import { print, printJson } from './print.ts'

const within = 330_000

export function addDown(program: Command): void {
  addState(program.command('down'))
    .description('stop and remove all that this gateway runs; its repository and state stay')
    .option('--volumes', 'and what its servers keep')
    .option('--json', 'as JSON')
    .action(async (options: Where & { readonly volumes?: boolean; readonly json?: boolean }) => {
      const path = `/down?volumes=${options.volumes === true}`
      const answer = await ask(options, { method: 'POST', path, within })
      if (options.json) printJson(answer)
      else print('all that this gateway ran is gone')
    })
}
