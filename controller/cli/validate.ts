import type { Command } from 'commander'
import { validate } from '../compile/validate.ts'
import { print, printJson } from './print.ts'

export function addValidate(program: Command): void {
  program
    .command('validate')
    .description('whether a commit of this folder would be taken; needs nothing but its files')
    .argument('[dir]', 'the folder that holds manifests/', process.env.GATEWAY_PATH ?? '.')
    .option('--json', 'as JSON')
    .action(async (folder: string, options: { readonly json?: boolean }) => {
      const found = await validate(folder)
      if (options.json) printJson(found)
      else for (const line of found.lines) print(line)
      if (!found.ok) process.exitCode = 1
    })
}
