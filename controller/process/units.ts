import { EventEmitter, once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { childEnvironment, type Environment, exitCodeOf, freePort, startChild, whereToListen } from './child.ts'
import { isAlive, signalGroup } from './life.ts'
import { followTail, readTail, trimLog } from './log.ts'
import { type UnitRecord, UnitTable } from './table.ts'
import { killLeft } from './wrapped.ts'

/** ms */
const grace = 10_000
const killLimit = 5_000
const glance = 500

/** A unit that is to run: what it is, and what from. */
export type UnitPlan = Pick<UnitRecord, 'name' | 'is' | 'launch'>

export interface UnitsOptions {
  readonly state: string
  /** The controller's. */
  readonly environment: Environment
  /** Takes what no verb can tell: that an exit code could not be recorded. */
  readonly log?: (line: string) => void
}

interface Ended {
  readonly launch: UnitRecord['launch']
  readonly life: Pick<UnitRecord['life'], 'pid' | 'born'>
}

/** Ends what one that has ended has left in its group, or out of it. */
function clear({ launch, life }: Ended): void {
  signalGroup(life, 'SIGKILL')
  killLeft(launch)
}

/** The children of an instance: those that this process has started, and those of earlier controllers. */
export class Units {
  readonly #table: UnitTable
  readonly #environment: Environment
  readonly #log: (line: string) => void
  /** Pids of children that were started here and whose exit has not been heard of. */
  readonly #own = new Set<number>()
  readonly #exits = new EventEmitter()

  constructor({ state, environment, log = () => {} }: UnitsOptions) {
    this.#table = new UnitTable(join(state, 'units'))
    this.#environment = environment
    this.#log = log
  }

  /** Notes the end of those that an earlier controller had started. */
  list(): readonly UnitRecord[] {
    for (const record of this.#table.list())
      if (record.life.endedAt === undefined && !this.runs(record)) {
        clear(record)
        this.#table.end(record.name, record.life)
      }
    return this.#table.list()
  }

  find(name: string): UnitRecord | undefined {
    return this.#table.read(name)
  }

  runs({ life }: UnitRecord): boolean {
    return this.#own.has(life.pid) || isAlive(life)
  }

  /** Makes it run, if it does not. */
  async run({ name, is, launch }: UnitPlan): Promise<void> {
    const { log, home } = this.#table.places(name)
    await trimLog(log)
    const port = is.role === 'server' ? await freePort() : undefined
    const before = this.find(name)
    if (before !== undefined && this.runs(before)) return
    if (before !== undefined) clear(before)
    const env = { ...childEnvironment(home, this.#environment), ...launch.env, ...whereToListen(port) }
    await startChild({ ...launch, env, log }, (birth, child) => {
      this.#table.write({ name, is, launch, life: { ...birth, startedAt: Date.now(), port } })
      this.#own.add(birth.pid)
      child.once('exit', (code, signal) => this.#hear({ name, launch, life: birth }, exitCodeOf(code, signal)))
    })
  }

  #hear({ name, launch, life }: Ended & { readonly name: string }, exitCode: number): void {
    this.#own.delete(life.pid)
    clear({ launch, life })
    try {
      this.#table.end(name, life, exitCode)
    } catch (error) {
      this.#log(`${name} ended with ${exitCode}, which could not be recorded: ${error}`)
    }
    this.#exits.emit('exit')
  }

  /** SIGTERM, `patience` ms, SIGKILL. Gone is fine. */
  async stop(name: string, signal: AbortSignal, patience = grace): Promise<void> {
    const record = this.find(name)
    if (record === undefined) return
    if (this.runs(record)) signalGroup(record.life, 'SIGTERM')
    if (await this.#ends(record, patience, signal)) return clear(record)
    signalGroup(record.life, 'SIGKILL')
    if (!(await this.#ends(record, killLimit, signal))) throw new Error(`${name} does not end, even when killed`)
    clear(record)
  }

  async #ends(record: UnitRecord, limit: number, signal: AbortSignal): Promise<boolean> {
    const until = performance.now() + limit
    while (this.runs(record)) {
      if (performance.now() > until) return false
      await sleep(20, undefined, { signal })
    }
    return true
  }

  /** Gone is fine; one that runs is an error. */
  remove(name: string): void {
    const record = this.find(name)
    if (record === undefined) return
    if (this.runs(record)) throw new Error(`${name} still runs: stop it first`)
    clear(record)
    this.#table.drop(name)
  }

  /** The last lines of its output, and a line more if how it ended is not known. */
  async logs(name: string, tail: number): Promise<string> {
    const text = await readTail(this.#table.log(name), tail)
    const record = this.find(name)
    if (record === undefined || this.runs(record) || record.life.exitCode !== undefined) return text
    return `${text}\n(ended; its exit code is not known, because an earlier controller had started it)`
  }

  /** The last lines of its output, and what comes from then on while it runs. */
  follow(name: string, tail: number, signal: AbortSignal): AsyncIterable<string> {
    const runs = () => {
      const record = this.find(name)
      return record !== undefined && this.runs(record)
    }
    return followTail(this.#table.log(name), tail, { runs, signal })
  }

  /** Yields when one has ended: at once where it was started here, else within half a second. */
  changes(signal: AbortSignal): AsyncIterable<void> {
    return this.#tell(this.#glance(), signal)
  }

  async *#tell(known: Promise<ReadonlySet<string>>, signal: AbortSignal): AsyncGenerator<void> {
    let before = await known
    while (!signal.aborted) {
      const enough = AbortSignal.any([signal, AbortSignal.timeout(glance)])
      await once(this.#exits, 'exit', { signal: enough }).catch(() => {}) // fails by its signal only
      const now = await this.#glance()
      const news = !now.isSubsetOf(before)
      before = now
      if (news && !signal.aborted) yield
    }
  }

  /** Which have ended; logs are cut meanwhile. What cannot be read is news once: what is true is for whoever looks then to say. */
  async #glance(): Promise<ReadonlySet<string>> {
    try {
      const units = this.list()
      const ended = units.filter((record) => !this.runs(record))
      for (const { name } of units) await trimLog(this.#table.log(name))
      return new Set(ended.map(({ name, life }) => `${name} ${life.pid} ${life.born}`))
    } catch (error) {
      return new Set([String(error)])
    }
  }
}
