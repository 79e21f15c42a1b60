import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import type { Command } from 'commander'
import { z } from 'zod'
import { CommitStatus } from '#manifests/status.ts'
import { addState, ask, listen, type Where } from './ask.ts'
import { Fault } from './fault.ts'
import { print, printJson } from './print.ts'
import { describeCommit } from './status.ts'

/** Seconds; several images may have to be built. */
const longest = 3600

interface Options extends Where {
  readonly wait?: boolean
  readonly json?: boolean
}

const Word = z.object({ server: z.string(), about: z.enum(['doing', 'build']), text: z.string() })
const Outcome = z.object({ commit: CommitStatus.optional(), error: z.string().optional() })

export function addReconcile(program: Command): void {
  addState(program.command('reconcile'))
    .description('look at the repository now')
    .option('--wait', 'until the head of the branch is applied, or cannot be; tells what goes on meanwhile')
    .option('--json', 'as JSON')
    .action(async (options: Options) => {
      if (options.wait) return judge(await waited(options), options)
      const answer = await ask(options, { method: 'POST', path: '/reconcile?wait=0' })
      if (options.json) printJson(answer)
      else print('asked for; "gateway status" tells what comes of it')
    })
}

function judge(commit: CommitStatus, { json }: Options): void {
  if (json) printJson(commit)
  else print(describeCommit(commit).join('\n'))
  if (commit.phase !== 'applied' && commit.phase !== 'superseded')
    throw new Fault(`commit ${commit.commit.slice(0, 12)} is ${commit.phase}`)
}

/** What goes on is told where it does not mix with the outcome that programs read. */
async function waited(options: Options): Promise<CommitStatus> {
  const path = `/reconcile?wait=${longest}&words=true`
  const signal = AbortSignal.timeout((longest + 30) * 1_000)
  const input = Readable.from(listen(options, { method: 'POST', path, signal }))
  const failed = new Promise<never>((_, fail) => input.once('error', fail))
  const lines = createInterface({ input })
  const told = async () => {
    for await (const line of lines) {
      const value: unknown = JSON.parse(line)
      const word = Word.safeParse(value)
      if (word.success && !options.json) print(describeWord(word.data))
      const { commit, error } = word.success ? {} : Outcome.parse(value)
      if (error !== undefined) throw new Fault(error)
      if (commit !== undefined) return commit
    }
    throw new Fault('the controller stopped before it was done')
  }
  return await Promise.race([told(), failed])
}

function describeWord({ server, about, text }: z.infer<typeof Word>): string {
  return about === 'build' ? `${server} | ${text}` : `${server}: ${text}`
}
