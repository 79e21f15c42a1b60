import type { Command } from 'commander'
import { describeFault } from '../desired.ts'
import { type FolderPlan, planFolder } from '../plan-folder.ts'
import { Fault } from './fault.ts'
import { print, printJson } from './print.ts'

interface Options {
  readonly commit?: string
  readonly base?: string
  readonly detailedExitcode?: boolean
  readonly json?: boolean
}

const differs = 2

export function addPlan(program: Command): void {
  program
    .command('plan')
    .description('what a commit of this folder would change; needs nothing but its files')
    .argument('[dir]', 'the folder that holds manifests/', process.env.GATEWAY_PATH ?? '.')
    .option('--commit <sha>', "a commit instead of the folder's present files")
    .option('--base <revision>', 'what is applied already (default: the remote branch, or the parent of --commit)')
    .option('--detailed-exitcode', 'exit with 2 if there is a difference')
    .option('--json', 'as JSON')
    .action(showPlan)
}

async function showPlan(folder: string, options: Options): Promise<void> {
  const { commit, base, json, detailedExitcode } = options
  const { PATH = '/usr/bin:/bin', GATEWAY_BRANCH: branch = 'main' } = process.env
  const revisions = { ...(commit === undefined ? {} : { commit }), ...(base === undefined ? {} : { base }) }
  const found = await planFolder({ folder, branch, inherited: { PATH }, ...revisions }).catch((cause: unknown) => {
    throw new Fault(`nothing to plan in ${folder}: ${oneLine(cause)}`, { cause })
  })
  if (json) printJson(found)
  else for (const line of linesOf(found)) print(line)
  if (!found.ok) process.exitCode = 1
  else if (found.different && detailedExitcode) process.exitCode = differs
}

function linesOf({ ok, lines, held, later = [], faults, fault }: FolderPlan): readonly string[] {
  if (!ok) return [...faults.map(describeFault), ...(fault === undefined ? [] : [fault])]
  if (held.length === 0) return lines
  const waits = held.map(({ plan, what, because }) => `held ${plan}: ${what} (${because})`)
  return [...lines, '', ...waits, '', 'once all of that is approved:', ...later]
}

function oneLine(cause: unknown): string {
  const said = cause instanceof Error ? cause.message : String(cause)
  return said.trim().split('\n').at(-1) ?? said
}
