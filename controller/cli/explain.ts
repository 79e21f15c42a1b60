import type { Command } from 'commander'
import { Account } from '#manifests/account.ts'
import { addWhere, ask, type Where } from './ask.ts'
import { columns, print, printJson } from './print.ts'

export function addExplain(program: Command): void {
  addWhere(program.command('explain'))
    .description('why a server is as it is, or what an agent may call and which line says so')
    .argument('<name>', 'a server, or an agent')
    .argument('[tool]', 'whether the agent may call it: TOOL, SERVER/TOOL or PREFIX__TOOL')
    .option('--json', 'as JSON')
    .action(async (name: string, tool: string | undefined, options: Where & { readonly json?: boolean }) => {
      const query = tool === undefined ? '' : `?tool=${encodeURIComponent(tool)}`
      const account = Account.parse(await ask(options, { path: `/explain/${encodeURIComponent(name)}${query}` }))
      if (options.json) return printJson(account)
      print(`${account.about} ${account.name}`)
      print(
        columns(account.facts.map(({ what, is }, index) => [account.facts[index - 1]?.what === what ? '' : what, is])),
      )
    })
}
