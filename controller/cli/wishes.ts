import type { Command } from 'commander'
import { z } from 'zod'
import { addState, ask, type Where } from './ask.ts'
import { Fault } from './fault.ts'
import { print, printJson } from './print.ts'

interface Options extends Where {
  readonly json?: boolean
  readonly all?: boolean
  readonly to?: string
}

/** Verbs that tell the controller what an operator wants; `gateway status` then tells what comes of it. */
export function addWishes(program: Command): void {
  addWish(program, 'approve <plan>', 'let a part of the commit be applied that is held').action(
    (plan: string, options: Options) => wish(options, `/approve/${encodeURIComponent(plan)}`, `${plan} is approved`),
  )
  addWish(program, 'retry <server>', 'try a server again that has failed').action((server: string, options: Options) =>
    wish(options, `/retry/${encodeURIComponent(server)}`, `${server} is tried again`),
  )
  for (const verb of ['suspend', 'resume'] as const)
    addWish(program, `${verb} [server]`, about[verb])
      .option('--all', 'every server')
      .action((server: string | undefined, options: Options) => {
        const name = serverOrAll(verb, server, options)
        return wish(
          options,
          `/${verb}/${encodeURIComponent(name)}`,
          `${name === '*' ? 'all servers' : name}: ${verb === 'suspend' ? 'suspended' : 'resumed'}`,
        )
      })
  addWish(program, 'rollback <server>', 'run a server as an earlier commit had it, until the branch changes it')
    .option('--to <commit>', 'as this commit had it; default the one before, which is kept ready')
    .action(rollBack)
}

const about = {
  suspend: 'do nothing to a server until it is resumed; it serves on, and grants go on',
  resume: 'end a suspension, or a rollback',
} as const

function addWish(program: Command, usage: string, description: string): Command {
  return addState(program.command(usage)).description(description).option('--json', 'as JSON')
}

function serverOrAll(verb: string, server: string | undefined, { all }: Options): string {
  if ((server === undefined) !== (all === true))
    throw new Fault(`${verb}: name one server, or --all${server === undefined ? '' : ', not both'}`)
  return server ?? '*'
}

async function wish(options: Options, path: string, done: string): Promise<void> {
  const answer = await ask(options, { method: 'POST', path })
  if (options.json) printJson(answer)
  else print(done)
}

const RolledBack = z.object({ commit: z.string() })

async function rollBack(server: string, options: Options): Promise<void> {
  const query = options.to === undefined ? '' : `?to=${encodeURIComponent(options.to)}`
  const path = `/rollback/${encodeURIComponent(server)}${query}`
  const { commit } = RolledBack.parse(await ask(options, { method: 'POST', path, within: 70_000 }))
  if (options.json) printJson({ commit })
  else print(`${server} goes back to ${commit.slice(0, 12)}; "gateway status ${server}" tells when it is there`)
}
