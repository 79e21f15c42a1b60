import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { HostDown } from '../host.ts'
import { Birth, isCode } from './life.ts'

const UnitRecord = z.strictObject({
  name: z.string(),
  is: z.discriminatedUnion('role', [
    z.strictObject({ role: z.literal('proxy'), spec: z.string() }),
    z.strictObject({
      role: z.literal('server'),
      server: z.string(),
      spec: z.string(),
      context: z.string(),
      origin: z.string(),
    }),
  ]),
  /** What it is started from, again and again; `env` has the secrets' values, and the file mode 0600 therefore. */
  launch: z.strictObject({ command: z.array(z.string()), folder: z.string(), env: z.record(z.string(), z.string()) }),
  life: Birth.extend({
    startedAt: z.number(),
    port: z.number().optional(),
    /** Only a controller that started it can learn it. */
    exitCode: z.number().optional(),
    /** Noted by whoever finds out first. */
    endedAt: z.number().optional(),
  }),
})
/** What is known of a child: enough to find it again, and to start it again. */
export type UnitRecord = Readonly<z.infer<typeof UnitRecord>>

/** The record of all children, a folder each. Synchronous, so that no two writers of this process meet in one record. */
export class UnitTable {
  readonly #folder: string

  /** `folder` is made if need be. */
  constructor(folder: string) {
    this.#folder = folder
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  list(): readonly UnitRecord[] {
    return readdirSync(this.#folder)
      .sort()
      .flatMap((name) => this.read(name) ?? [])
  }

  /** Undefined if there is none. Throws `HostDown` for one that cannot be read: nothing may be concluded from it. */
  read(name: string): UnitRecord | undefined {
    const file = join(this.#folder, name, 'unit.json')
    try {
      return UnitRecord.parse(JSON.parse(readFileSync(file, 'utf8')))
    } catch (cause) {
      if (isCode(cause, 'ENOENT')) return undefined
      throw new HostDown(`${file} is not a record of this version; end its process, then remove its folder`, { cause })
    }
  }

  write(record: UnitRecord): void {
    const file = join(this.#folder, record.name, 'unit.json')
    writeFileSync(`${file}.new`, JSON.stringify(record), { mode: 0o600 })
    renameSync(`${file}.new`, file)
  }

  /** Notes how a child ended, unless its unit was removed or started anew meanwhile. */
  end(name: string, { pid, born }: Birth, exitCode?: number): void {
    const record = this.read(name)
    if (record?.life.pid !== pid || record.life.born !== born) return
    const { endedAt = Date.now(), ...life } = record.life
    this.write({ ...record, life: { ...life, endedAt, ...(exitCode === undefined ? {} : { exitCode }) } })
  }

  drop(name: string): void {
    // The record first: a folder without one is nothing, whatever else is still in it.
    rmSync(join(this.#folder, name, 'unit.json'), { force: true })
    rmSync(join(this.#folder, name), { recursive: true, force: true })
  }

  /** Makes the unit's folder; where it logs to, and its HOME. */
  places(name: string): { readonly log: string; readonly home: string } {
    const home = join(this.#folder, name, 'home')
    mkdirSync(home, { recursive: true, mode: 0o700 })
    return { log: join(this.#folder, name, 'log'), home }
  }

  log(name: string): string {
    return join(this.#folder, name, 'log')
  }
}
