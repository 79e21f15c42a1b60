import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { ListedServer, type LockFile } from '#manifests/lock.ts'
import { compile, readPermissions } from '../compile/compile.ts'
import { layOut, lockFile } from '../compile/layout.ts'
import { readLock } from '../compile/lock.ts'
import { describeFault, type Tree } from '../desired.ts'
import { printLock } from '../lock/print-lock.ts'
import { relock } from '../lock/relock.ts'
import { openFolder } from '../source/folder.ts'
import { addWhere, ask, type Where } from './ask.ts'
import { Fault } from './fault.ts'
import { complain, print, printJson } from './print.ts'

interface Options extends Where {
  readonly dir: string
  readonly check?: boolean
  readonly json?: boolean
}

export function addLock(program: Command): void {
  addWhere(program.command('lock'))
    .description('write the tools that servers have now into manifests/tools.lock.yaml, to be reviewed and committed')
    .argument('[server]', 'only this server; the others stay as they are')
    .option('--dir <dir>', 'the folder that holds manifests/', process.env.GATEWAY_PATH ?? '.')
    .option('--check', 'write nothing: whether it is current')
    .option('--json', 'as JSON')
    .action(lock)
}

interface Locking {
  readonly file: string
  readonly current: boolean
  readonly changes: readonly string[]
  /** What could not be locked. */
  readonly problems: readonly string[]
  /** Faults for which a commit of the file would be refused. */
  readonly refused: readonly string[]
}

async function lock(server: string | undefined, options: Options): Promise<void> {
  const { check = false, json } = options
  const done = await bringUp(server, options)
  if (json) printJson(done)
  else tell(done, check)
  if (done.problems.length > 0 || done.refused.length > 0 || (check && !done.current)) process.exitCode = 1
}

/** Makes the file what it should be, unless it is only to be checked. */
async function bringUp(server: string | undefined, options: Options): Promise<Locking> {
  const { dir, check } = options
  const known = await knownServers(await open(dir))
  if (server !== undefined && !known.has(server)) throw new Fault(`${dir} has no server "${server}" to lock`)
  const query = server === undefined ? '' : `?server=${encodeURIComponent(server)}`
  const listed = z.array(ListedServer).parse(await ask(options, { path: `/tools${query}` }))
  const before = await readBefore(dir)
  const { lock, changes, problems } = relock(before.lock, listed, known)
  const text = printLock(lock)
  const current = text === before.text
  if (!current && !check) await write(join(dir, lockFile), text)
  return { file: lockFile, current, changes, problems, refused: check ? [] : await faultsOf(dir) }
}

async function open(dir: string): Promise<Tree> {
  return await openFolder(dir).catch((cause: unknown) => {
    throw new Fault(`${dir} cannot be read: name the folder that holds manifests/ with --dir`, { cause })
  })
}

async function knownServers(tree: Tree): Promise<ReadonlySet<string>> {
  const layout = layOut(await tree.list())
  if (layout.permissions === undefined)
    throw new Fault('no manifests/permissions.yaml here: --dir names the folder that holds manifests/')
  return (await readPermissions(tree, layout)).known
}

async function readBefore(dir: string): Promise<{ readonly text?: string; readonly lock: LockFile }> {
  const body = await readFile(join(dir, lockFile)).catch(() => undefined)
  if (body === undefined) return { lock: {} }
  const { lock, faults } = readLock(lockFile, body)
  if (lock !== undefined) return { text: body.toString(), lock }
  throw new Fault(
    [...faults.map(describeFault), 'put that right, or remove the file to have it written anew'].join('\n'),
  )
}

async function write(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text)
  await rename(`${file}.new`, file)
}

async function faultsOf(dir: string): Promise<readonly string[]> {
  const compiled = await compile(await openFolder(dir))
  return compiled.ok ? [] : compiled.faults.filter(({ file }) => file === lockFile).map(describeFault)
}

function tell({ current, changes, problems, refused }: Locking, check: boolean): void {
  for (const line of changes) print(line)
  print(`${lockFile} ${current ? 'is current' : check ? 'is not current' : 'is written: review and commit it'}`)
  complain(
    ...[...problems, ...refused.map((line) => `a commit of it is refused: ${line}`)].map((line) => `gateway: ${line}`),
  )
}
