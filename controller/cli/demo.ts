import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { compile } from '../compile/compile.ts'
import { describeFault, type Server } from '../desired.ts'
import { openFolder } from '../source/folder.ts'
import { Fault } from './fault.ts'
import { git } from './git.ts'
import { type Runtime, whyNot } from './runtime.ts'
import { createToken, hashToken } from './token.ts'

const LeftOut = z.array(z.strictObject({ name: z.string(), reason: z.string() }))
export type LeftOut = Readonly<z.infer<typeof LeftOut>>

/** The gateway repository that `npm start` brings along. */
export interface Demo {
  /** Path of the bare repository. */
  readonly repository: string
  /** The one agent's, the same at each start. */
  readonly token: string
  /** A server whose description the first push may edit. */
  readonly example: string | undefined
  readonly leftOut: LeftOut
}

const Made = z.strictObject({ leftOut: LeftOut, example: z.string().optional() })
const purpose = 'the demo repository cannot be made from this checkout (--repo URL names one of your own)'

/** Makes the demo repository from the checkout's HEAD, unless the state has one already. Throws a Fault. */
export async function openDemo(checkout: string, state: string, runtime: Runtime): Promise<Demo> {
  const repository = join(state, 'repo.git')
  const notes = join(state, 'demo.json')
  const token = await keepToken(join(state, 'demo-token'))
  if (!existsSync(repository)) {
    const work = join(state, 'demo')
    await rm(work, { recursive: true, force: true })
    await writeFile(notes, JSON.stringify(await compose({ checkout, work, token, runtime })))
    await settle(work, repository)
  }
  const made = Made.parse(JSON.parse(await readFile(notes, 'utf8')))
  return { repository, token, example: made.example, leftOut: leftOutOf(made, repository, runtime) }
}

/** Docker leaves nothing out: what is missing there was left out by an earlier start. */
function leftOutOf({ leftOut }: z.infer<typeof Made>, repository: string, runtime: Runtime): LeftOut {
  if (runtime === 'process') return leftOut
  const reason = `${repository} was made where only processes run; once it is removed, the next start makes it with this server`
  return leftOut.map(({ name }) => ({ name, reason }))
}

async function keepToken(path: string): Promise<string> {
  if (!existsSync(path)) await writeFile(path, createToken(), { mode: 0o600 })
  return await readFile(path, 'utf8')
}

interface Recipe {
  readonly checkout: string
  /** Folder to make, for the commit's files. */
  readonly work: string
  readonly token: string
  readonly runtime: Runtime
}

/** A repository with a work tree and one commit: an agent, and what can run here. */
async function compose({ checkout, work, token, runtime }: Recipe): Promise<z.infer<typeof Made>> {
  if (!existsSync(join(checkout, '.git'))) throw new Fault(`${purpose}: it has no history; get it by git clone`)
  await git(checkout, ['clone', '--quiet', '--no-local', '--depth', '1', '--', checkout, work], purpose)
  await rm(join(work, '.git'), { recursive: true })
  await writeFile(join(work, 'manifests/permissions.yaml'), describePermissions(token))
  const compiled = await compile(await openFolder(work))
  if (!compiled.ok) throw new Fault(`${purpose}: ${compiled.faults.map(describeFault).join('\n')}`)
  const servers = Object.values(compiled.desired.servers)
  const reasons = new Map<string, string>()
  for (const server of servers) {
    const reason = await whyNot(server, work, runtime)
    if (reason !== undefined) reasons.set(server.name, reason)
  }
  const chosen = servers.filter(({ name }) => !reasons.has(name))
  await commit(work, ['manifests/permissions.yaml', ...chosen.flatMap(filesOf)])
  const leftOut = [...reasons].map(([name, reason]) => ({ name, reason }))
  return { leftOut, ...(chosen[0] === undefined ? {} : { example: chosen[0].name }) }
}

function describePermissions(token: string): string {
  return `# Who may call what. A commit that changes this file is all that it takes.
agents:
  demo:
    token_hash: "${hashToken(token)}"
    servers: ["*"]
`
}

function filesOf({ name, runs }: Server): readonly string[] {
  const manifest = `manifests/servers/${name}.yaml`
  if (runs.kind !== 'build') return [manifest]
  return [manifest, ...runs.input.files.map(({ path }) => join(runs.input.context, path))]
}

async function commit(work: string, files: readonly string[]): Promise<void> {
  const schema = existsSync(join(work, 'manifests/schema')) ? ['manifests/schema'] : []
  await git(work, ['init', '--quiet', '--initial-branch=main'], purpose)
  const add = ['--literal-pathspecs', 'add', '--force', '--pathspec-from-file=-', '--pathspec-file-nul']
  await git(work, add, purpose, [...files, ...schema].join('\0'))
  const author = ['-c', 'user.name=gateway', '-c', 'user.email=gateway@localhost']
  await git(work, [...author, 'commit', '--quiet', '--message=Start with what can run here'], purpose)
}

/** The repository appears at its place whole, or not at all. */
async function settle(work: string, repository: string): Promise<void> {
  const bare = `${repository}.new`
  await rm(bare, { recursive: true, force: true })
  await mkdir(bare)
  await git(work, ['clone', '--quiet', '--bare', '--', work, bare], purpose)
  await rename(bare, repository)
  await rm(work, { recursive: true })
}
