import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { BuildInput } from '../desired.ts'
import { type BuildRequest, generationKey } from '../host.ts'
import type { Environment } from './child.ts'
import { endAllIn } from './life.ts'
import { Modules, readLock } from './modules.ts'
import { modulesFolder, settle, unpack, workFolder } from './tree.ts'

/**
 * What servers run from, below one folder: `tree/<context12>/` for each content, `modules/<lock12>/` for each lockfile, and
 * `built/<server>@<hash>`, which says who asked for which content, and in its text what modules that needs.
 */
export class Builds {
  readonly #tree: string
  readonly #built: string
  readonly #npm: string
  readonly #modules: Modules

  constructor({ state, environment }: { readonly state: string; readonly environment: Environment }) {
    this.#tree = join(state, 'tree')
    this.#built = join(state, 'built')
    this.#npm = join(state, 'npm')
    this.#modules = new Modules({ folder: join(state, 'modules'), cache: this.#npm, environment })
  }

  /** Makes the folders, and removes what an interrupted build has left. */
  async open(): Promise<void> {
    for (const folder of [this.#tree, this.#built, this.#modules.folder]) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await removeFrom(folder, (name) => name.startsWith('.new-'))
    }
  }

  async list(): Promise<ReadonlySet<string>> {
    const marks = await readdir(this.#built)
    return new Set(marks.filter((mark) => existsSync(this.#pathOf(hashOf(mark)))))
  }

  /** Folder that a server of this content is started in; undefined if it is not built. */
  folderOf(server: string, input: BuildInput): string | undefined {
    const there =
      existsSync(join(this.#built, generationKey(server, input.hash))) && existsSync(this.#pathOf(input.hash))
    return there ? join(this.#pathOf(input.hash), workFolder(input)) : undefined
  }

  async build({ server, input, entries, log }: BuildRequest, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const mark = join(this.#built, generationKey(server, input.hash))
    if (existsSync(this.#pathOf(input.hash))) {
      const lock = await readLock(join(this.#pathOf(input.hash), workFolder(input)))
      return writeFile(mark, lock?.hash ?? '')
    }
    const made = join(this.#tree, `.new-${randomUUID()}`)
    try {
      await mkdir(made)
      await unpack(entries, made, signal)
      log(`unpacked ${input.files.length} files`)
      await this.#furnish({ made, mark, input, log }, signal)
      await settle(made, this.#pathOf(input.hash))
    } finally {
      await rm(made, { recursive: true, force: true })
      if (!existsSync(this.#pathOf(input.hash))) await rm(mark, { force: true })
    }
  }

  /** Marks and links the modules, installed if need be. The mark comes first, so that nobody sweeps them meanwhile. */
  async #furnish(build: Furnishing, signal: AbortSignal): Promise<void> {
    const { made, mark, input, log } = build
    const lock = await readLock(join(made, workFolder(input)))
    await writeFile(mark, lock?.hash ?? '')
    if (lock === undefined) return
    await this.#modules.ensure(lock, log, signal)
    const link = join(made, modulesFolder(input), 'node_modules')
    await rm(link, { recursive: true, force: true })
    await symlink(relative(dirname(link), this.#modules.path(lock)), link)
  }

  /** Removes the server's marks whose content `inUse` does not have, and then all that no mark names. */
  async forget(server: string, inUse: ReadonlySet<string>): Promise<void> {
    await removeFrom(this.#built, (mark) => mark.startsWith(`${server}@`) && !inUse.has(hashOf(mark)))
    await this.#sweep()
  }

  /** Removes marks that are not `kept` and not among the newest `most` of their server, and then all that no mark names. */
  async collect(most: number, kept: ReadonlySet<string>): Promise<void> {
    const names = await readdir(this.#built)
    const dated = await Promise.all(
      names.map(async (mark) => ({ mark, at: (await stat(join(this.#built, mark))).mtimeMs })),
    )
    const newest = dated.toSorted((a, b) => b.at - a.at).map(({ mark }) => mark)
    const old = [...Map.groupBy(newest, (mark) => mark.slice(0, mark.indexOf('@'))).values()].flatMap((marks) =>
      marks.slice(most),
    )
    const doomed = new Set(old.filter((mark) => !kept.has(mark)))
    if (doomed.size === 0) return
    await removeFrom(this.#built, (mark) => doomed.has(mark))
    await this.#sweep()
  }

  async #sweep(): Promise<void> {
    const marks = await readdir(this.#built)
    const locks = await Promise.all(marks.map((mark) => readFile(join(this.#built, mark), 'utf8')))
    const contexts = marks.map((mark) => hashOf(mark).slice(0, 12))
    await removeFrom(this.#tree, (name) => !name.startsWith('.new-') && !contexts.includes(name))
    await removeFrom(
      this.#modules.folder,
      (name) => !name.startsWith('.new-') && !locks.some((lock) => lock.startsWith(name)),
    )
  }

  async clear(): Promise<void> {
    for (const folder of [this.#tree, this.#built, this.#modules.folder]) await removeFrom(folder, () => true)
    await rm(this.#npm, { recursive: true, force: true })
  }

  #pathOf(hash: string): string {
    return join(this.#tree, hash.slice(0, 12))
  }
}

interface Furnishing {
  readonly made: string
  readonly mark: string
  readonly input: BuildInput
  readonly log: (line: string) => void
}

function hashOf(mark: string): string {
  return mark.slice(mark.indexOf('@') + 1)
}

/** A build whose controller was killed may go on in what it makes: it is ended first. */
async function removeFrom(folder: string, doomed: (name: string) => boolean): Promise<void> {
  const names = (await readdir(folder)).filter(doomed)
  for (const name of names) if (name.startsWith('.new-')) endAllIn(join(folder, name))
  await Promise.all(names.map((name) => rm(join(folder, name), { recursive: true, force: true, maxRetries: 5 })))
}
