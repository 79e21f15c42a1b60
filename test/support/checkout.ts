import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Change } from './repository.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Files of this project's work tree below the paths, as a commit takes them. */
export async function checkoutFiles(...paths: readonly string[]): Promise<Record<string, Change>> {
  const list = ['ls-files', '-co', '--exclude-standard', '-z', '--', ...paths]
  const { stdout } = await promisify(execFile)('git', list, { cwd: root, maxBuffer: 2 ** 24 })
  const files = stdout.split('\0').filter((path) => path !== '')
  return Object.fromEntries(
    await Promise.all(files.map(async (path) => [path, await changeOf(join(root, path))] as const)),
  )
}

async function changeOf(file: string): Promise<Change> {
  const executable = ((await stat(file)).mode & 0o100) !== 0
  return executable ? { mode: '100755', content: await readFile(file, 'utf8') } : readFile(file)
}
