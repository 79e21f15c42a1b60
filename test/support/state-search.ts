import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'

/** A place where a secret could have come to, and what is there. */
export interface Place {
  readonly where: string
  readonly content: string | Buffer
}

/** All that a state folder holds: its files as they are, and what databases and repositories keep in forms of their own. */
export async function placesOfState(state: string): Promise<readonly Place[]> {
  const found = await readdir(state, { recursive: true, withFileTypes: true })
  const files = found.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  const plain = await Promise.all(
    files.map(async (file) => ({
      where: relative(state, file),
      // What is replaced or removed meanwhile is there no more.
      content: await readFile(file).catch(() => ''),
    })),
  )
  const databases = files.filter((file) => /(journal|state)\.db$/.test(file)).map(rowsOf)
  const repositories = found.filter((entry) => entry.isDirectory() && entry.name.endsWith('.git'))
  return [...plain, ...databases, ...(await Promise.all(repositories.map(({ name }) => objectsOf(join(state, name)))))]
}

function rowsOf(file: string): Place {
  using db = new DatabaseSync(file, { readOnly: true, timeout: 10_000 })
  const tables = db.prepare("select name from sqlite_master where type = 'table'").all()
  const rows = tables.map(({ name }) => JSON.stringify(db.prepare(`select * from "${name}"`).all()))
  return { where: `rows of ${file}`, content: rows.join('\n') }
}

async function objectsOf(folder: string): Promise<Place> {
  const args = ['--git-dir', folder, 'cat-file', '--batch-all-objects', '--batch']
  const { stdout } = await promisify(execFile)('git', args, { encoding: 'buffer', maxBuffer: 2 ** 28 })
  return { where: `objects of ${folder}`, content: stdout }
}
