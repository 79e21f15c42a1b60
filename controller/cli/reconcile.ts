import type { Command } from 'commander'
import { CommitStatus } from '#manifests/status.ts'
import { addState, ask, type Where } from './ask.ts'
import { Fault } from './fault.ts'
import { print, printJson } from './print.ts'
import { describeCommit } from './status.ts'

/** Seconds; several images may have to be built. */
const longest = 3600

export function addReconcile(program: Command): void {
  addState(program.command('reconcile'))
    .description('look at the repository now')
    .option('--wait', 'until the head of the branch is applied, or cannot be')
    .option('--json', 'as JSON')
    .action(async (options: Where & { readonly wait?: boolean; readonly json?: boolean }) => {
      const path = `/reconcile?wait=${options.wait ? longest : 0}`
      const answer = await ask(options, { method: 'POST', path, within: (longest + 30) * 1000 })
      if (options.json) printJson(answer)
      if (!options.wait) return options.json ? undefined : print('asked for; "gateway status" tells what comes of it')
      const commit = CommitStatus.parse(answer)
      if (!options.json) print(describeCommit(commit).join('\n'))
      if (commit.phase !== 'applied' && commit.phase !== 'superseded')
        throw new Fault(`commit ${commit.commit.slice(0, 12)} is ${commit.phase}`)
    })
}
