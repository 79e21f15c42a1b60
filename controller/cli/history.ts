import { type Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import { CommitStatus } from '#manifests/status.ts'
import { addWhere, ask, type Where } from './ask.ts'
import { columns, print, printJson } from './print.ts'

export function addHistory(program: Command): void {
  addWhere(program.command('history'))
    .description('what was applied when, newest first')
    .option('--limit <n>', 'how many commits, at most 500', readLimit, 20)
    .option('--json', 'as JSON')
    .action(async (options: Where & { readonly limit: number; readonly json?: boolean }) => {
      const commits = z.array(CommitStatus).parse(await ask(options, { path: `/history?limit=${options.limit}` }))
      if (options.json) printJson(commits)
      else print(describeHistory(commits))
    })
}

/** A line a commit; below it what was put right while it was the current one. */
function describeHistory(commits: readonly CommitStatus[]): string {
  const rows = columns(commits.map(({ since, commit, phase, reason }) => [since, commit.slice(0, 12), phase, reason]))
  const repaired = commits.map((status) => (status.repaired ?? []).map((line) => `  put right ${line}`))
  return rows
    .split('\n')
    .flatMap((row, index) => [row, ...(repaired[index] ?? [])])
    .join('\n')
}

function readLimit(text: string): number {
  const limit = Number(text)
  if (Number.isInteger(limit) && limit >= 1 && limit <= 500) return limit
  throw new InvalidArgumentError('It is a whole number from 1 to 500.')
}
