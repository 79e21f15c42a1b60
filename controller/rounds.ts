import type { Logger } from 'pino'
import { type CommitStatus, type Status, unasked } from '#manifests/status.ts'
import { createBackoff } from './backoff.ts'
import { type Bell, createBell } from './bell.ts'
import { type Chronicle, createChronicle } from './chronicle.ts'
import { type Heading, settleTable, takeHeading } from './heading.ts'
import { type Host, HostDown } from './host.ts'
import type { Journal } from './journal/journal.ts'
import { createLanes, type Lanes } from './lanes.ts'
import { createMeters, type Meters } from './meters.ts'
import { createNarration, type Narration } from './narration.ts'
import { nextRetry } from './patience.ts'
import { createPublisher, type Publisher } from './publish.ts'
import { createQueue, type Queue } from './queue.ts'
import { conclude, type Means, reconcile, type Seen } from './reconcile.ts'
import { createRepairs } from './repairs.ts'
import { createKeeper, type Keeper } from './room.ts'
import { type Draft, emptyDraft, settle } from './routes.ts'
import { createTroubles, faultOf, messageOf } from './troubles.ts'
import { createTurn } from './turn.ts'
import { createWire, type Wire } from './wire.ts'

/** What rounds are made with; they open nothing themselves. */
export interface Charge extends Pick<Means, 'source' | 'compile' | 'machine' | 'consent' | 'signed'> {
  /** The file in which grants are written, as refusals name it. */
  readonly grantsFile: string
  readonly journal: Journal
  readonly log: Logger
}

/** The halves of a pass: the first waits for no host, and asks for the second. */
const halves = { heading: 'heading', host: 'host' } as const

/** Runs passes whenever something asks for one, tries again what failed through no fault of the commit, and remembers what it saw. */
export class Rounds implements AsyncDisposable {
  readonly bell: Bell = createBell()
  /** What is said of commits, by their hashes. */
  readonly news: Wire<CommitStatus> = createWire()
  readonly meters: Meters = createMeters()
  readonly narration: Narration = createNarration()
  /** Rings when something on the host may have changed by itself. */
  readonly stir: Bell = createBell()
  readonly publisher: Publisher
  readonly chronicle: Chronicle
  readonly #charge: Charge
  readonly #lanes: Lanes
  readonly #queue: Queue
  readonly #builds = createTurn()
  readonly #troubles = createTroubles()
  readonly #backoffs = { heading: createBackoff(1_000, 30_000), host: createBackoff(1_000, 30_000) }
  readonly #stopping = new AbortController()
  #means: Means | undefined
  #keeper: Keeper | undefined
  #heading: Heading = {}
  #seen: Seen | undefined
  /** Numbers of the pass that began last, of the one whose first half ended last, and of the one that ended last. */
  #begun = 0
  #headed = 0
  #ended = 0
  #host: Status['host'] = { ok: false, reason: unasked }

  constructor(charge: Charge) {
    this.#charge = charge
    this.publisher = createPublisher(charge.journal, emptyDraft(charge.grantsFile))
    this.chronicle = createChronicle(charge.journal, (status) => this.#tell(status))
    this.#lanes = createLanes(
      (lane, error) => this.#laneEnded(lane, error),
      (lane, doing) => {
        this.narration.doing(lane, doing)
        this.bell.ring()
      },
    )
    this.#queue = createQueue((half, signal) => (half === halves.heading ? this.#head(signal) : this.#meet(signal)))
    void this.#follow(this.#stopping.signal)
  }

  get means(): Means | undefined {
    return this.#means
  }

  /** What the last pass aimed at and saw. */
  get seen(): Seen | undefined {
    return this.#seen
  }

  /** What the last ruling was made by; undefined where nothing restrained it. */
  get base(): Heading['base'] {
    return this.#heading.base
  }

  get host(): Status['host'] {
    const disk = this.#keeper?.disk
    return disk === undefined ? this.#host : { ...this.#host, disk }
  }

  /** Passes run on this host from now on. */
  take(host: Host): void {
    const { publisher, chronicle, stir, meters } = this
    const { journal, log } = this.#charge
    const buildLog = (server: string) => this.narration.build(server)
    const admit = (draft: Draft) => (this.#heading.aim === undefined ? draft : settle(draft, this.#heading.aim))
    const repairs = createRepairs({ journal, meters, chronicle, log })
    const world = { host, stir, publisher, journal, meters, repairs, builds: this.#builds, buildLog, admit }
    this.#means = { ...this.#charge, publisher, chronicle, lanes: this.#lanes, troubles: this.#troubles, host, world }
    this.#keeper = createKeeper(host)
    this.#tellHost({ ok: true, reason: 'answers' })
    this.ask()
  }

  /** Says why there is no host yet. */
  await(reason: string): void {
    this.#tellHost({ ok: false, reason })
  }

  /** Asks for a pass; any number of questions before the next pass are one. */
  ask(delay = 0): void {
    this.#queue.add(halves.heading, delay)
  }

  /** Asks as a clock does: a repository that does not answer is left alone for a while. */
  poll(): void {
    if (this.#charge.source.patience() === 0) this.ask()
  }

  /** Asks for the second half alone: the host may have changed, the repository is not asked. */
  look(delay = 0): void {
    this.#queue.add(halves.host, delay)
  }

  /** Something on the host may have changed by itself. */
  moved(): void {
    this.stir.ring()
    this.look()
  }

  /** Asks for a pass and resolves once one that began after this has ended, well or badly. */
  async passed(signal: AbortSignal): Promise<void> {
    const asked = this.#begun
    this.ask()
    while (this.#ended <= asked) {
      signal.throwIfAborted()
      if (this.#stopping.signal.aborted) throw new HostDown(this.#host.reason)
      await this.bell.next(1_000, signal)
    }
  }

  /** Ends all passes for good: what was seen is no more, and this is why. */
  async leave(reason: string): Promise<void> {
    await this[Symbol.asyncDispose]()
    this.#seen = undefined
    this.#tellHost({ ok: false, reason })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error('the controller stops'))
    await this.#queue.close()
    await this.#lanes.close()
  }

  async #head(signal: AbortSignal): Promise<void> {
    if (this.#means === undefined) return
    const [number, began] = [++this.#begun, performance.now()]
    try {
      this.#heading = await takeHeading(this.#means, this.#heading, signal)
      settleTable(this.#means, this.#heading)
      this.#backoffs.heading.reset()
      this.#meter(halves.heading, 'done', began)
    } catch (error) {
      this.#meter(halves.heading, 'failed', began)
      if (!signal.aborted) this.ask(this.#failed(halves.heading, error))
    } finally {
      this.#headed = number
      const patience = this.#charge.source.patience()
      if (patience > 0) this.ask(patience)
      this.look()
    }
  }

  async #meet(signal: AbortSignal): Promise<void> {
    if (this.#means === undefined) return
    const [number, began] = [this.#headed, performance.now()]
    try {
      this.#seen =
        (await reconcile(this.#means, { recall: () => this.#heading, before: this.#seen?.sight }, signal)) ?? this.#seen
      this.#backoffs.host.reset()
      this.#tellHost({ ok: true, reason: 'answers' })
      this.#meter(halves.host, 'done', began)
      void this.#keeper?.look(this.#heading.aim, this.#stopping.signal)
      // What failed and may pass is tried again by a pass of its own.
      const wait = nextRetry(this.#charge.journal.failures(), Date.now())
      if (wait !== undefined) this.look(wait)
    } catch (error) {
      this.#meter(halves.host, 'failed', began)
      if (!signal.aborted) this.look(this.#failed(halves.host, error))
    } finally {
      this.#ended = number
      this.bell.ring()
    }
  }

  #meter(half: keyof typeof halves, outcome: 'done' | 'failed', began: number): void {
    this.meters.passed(half, outcome, (performance.now() - began) / 1_000)
  }

  /** Gives the wait before the next try, ms. */
  #failed(half: keyof typeof halves, error: unknown): number {
    const again = this.#backoffs[half].next()
    if (error instanceof HostDown) this.#tellHost({ ok: false, reason: error.message })
    this.#charge.log.error({ ...faultOf(error), half, again }, 'the pass failed')
    return again
  }

  #laneEnded(lane: string, error: unknown): void {
    if (error === undefined) {
      this.#troubles.end(lane)
      this.look()
      return
    }
    const delay = this.#troubles.add(lane, messageOf(error))
    this.#charge.log.warn({ lane, ...faultOf(error), again: delay }, 'tried again later')
    this.look(delay)
    this.bell.ring()
  }

  #tell(status: CommitStatus): void {
    this.news.say(status.commit, status)
    this.bell.ring()
  }

  #tellHost(host: Status['host']): void {
    if (host.ok === this.#host.ok && host.reason === this.#host.reason) return
    this.#host = host
    this.bell.ring()
  }

  /** A proxy's word can finish a commit without a pass. */
  async #follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.publisher.changed(60_000, signal)
      if (this.#means === undefined || this.#seen === undefined || signal.aborted) continue
      try {
        conclude(this.#means, this.#heading, this.#seen)
      } catch (error) {
        this.#charge.log.error({ err: error }, 'what became of the commit could not be recorded')
      }
      this.bell.ring()
    }
  }
}
