import type { Account } from '#manifests/account.ts'
import type { ListedServer } from '#manifests/lock.ts'
import type { CommitStatus, PullStatus, Status } from '#manifests/status.ts'
import { account } from './account.ts'
import { type Controller, Refused } from './controller.ts'
import { liveReports } from './gate.ts'
import { generationKey, HostDown } from './host.ts'
import type { Journal } from './journal/journal.ts'
import { listTools } from './listed-tools.ts'
import type { LogQuestion } from './log-question.ts'
import type { Word } from './narration.ts'
import { isFinal } from './outcome.ts'
import { type Means, planFor, type Seen, standing } from './reconcile.ts'
import type { Rounds } from './rounds.ts'
import { SourceDown } from './source/git-fault.ts'
import { type Facts, summarise } from './status.ts'
import { followLog, readBuildLog, readLog } from './unit-log.ts'
import { approve, resume, retry, rollBack, suspend } from './wishes.ts'

/** Facts of a controller that do not change while it runs, and where the changing ones are asked. */
export interface Office extends Pick<Facts, 'instance' | 'version' | 'repository' | 'branch'> {
  readonly sourceState: () => Status['source']
  /** How forge and webhook fare, where there are any. */
  readonly forgeState?: () => Pick<Status, 'forge' | 'webhook'>
  readonly pull?: (number: number) => PullStatus | undefined
  readonly journal: Journal
}

/** Commits in which an account of a server looks for it. */
const searched = 100

/** Answers for the rounds: what is true, what became of commits, and what people may ask for. */
export class Steward implements Controller {
  readonly #office: Office
  readonly #rounds: Rounds

  constructor(office: Office, rounds: Rounds) {
    this.#office = office
    this.#rounds = rounds
  }

  async status(view: 'public' | 'operator'): Promise<Status> {
    const { instance, version, repository, branch, sourceState, journal } = this.#office
    const { publisher, chronicle, host } = this.#rounds
    const applied = journal.latest(['applied'])?.commit
    return summarise(
      {
        ...{ instance, version, repository, branch, host, applied },
        source: sourceState(),
        ...this.#office.forgeState?.(),
        attempted: chronicle.current,
        heard: publisher.heard,
        revision: publisher.table?.revision ?? 0,
        ...this.#look(),
      },
      view,
    )
  }

  #look(): Pick<Facts, 'look'> {
    const { means, seen } = this.#rounds
    if (means === undefined || seen === undefined) return {}
    return { look: { standing: standing(means, seen), sight: seen.sight } }
  }

  async commit(sha: string, wait: number, signal: AbortSignal): Promise<CommitStatus | undefined> {
    const until = Date.now() + wait
    for (;;) {
      const found = this.#office.journal.commit(sha)
      if ((found !== undefined && isFinal(found.phase)) || Date.now() >= until || signal.aborted) return found
      await this.#rounds.bell.next(until - Date.now(), signal)
    }
  }

  pull(number: number, view: 'public' | 'operator'): PullStatus | undefined {
    const found = this.#office.pull?.(number)
    if (found === undefined || view === 'operator') return found
    const { access: _, ...others } = found
    return others
  }

  history(limit: number): readonly CommitStatus[] {
    return this.#office.journal.history(limit)
  }

  news(beat: number, signal: AbortSignal): AsyncGenerator<CommitStatus | undefined> {
    return this.#rounds.news.listen(beat, signal)
  }

  async metrics(): Promise<string> {
    return this.#rounds.meters.text(await this.status('public'), this.#rounds.publisher.heard)
  }

  poke(): void {
    this.#rounds.ask()
  }

  async reconcile(signal: AbortSignal): Promise<CommitStatus> {
    await this.#rounds.passed(signal)
    const source = this.#office.sourceState()
    if (!source.ok) throw new SourceDown(source.reason)
    for (;;) {
      const { current } = this.#rounds.chronicle
      if (current !== undefined && isFinal(current.phase)) return current
      await this.#rounds.bell.next(1_000, signal)
      signal.throwIfAborted()
    }
  }

  narrate(beat: number, signal: AbortSignal): AsyncGenerator<Word | undefined> {
    return this.#rounds.narration.listen(beat, signal)
  }

  async explain(name: string, tool: string | undefined): Promise<Account> {
    const { means, seen } = this.#place()
    const { journal, publisher } = means
    const { servers } = await this.status('operator')
    return account(name, tool, {
      standing: standing(means, seen),
      sight: seen.sight,
      servers,
      steps: planFor(means, { aim: seen.aim }, seen.sight),
      known: journal.known(seen.sight.generations.map(({ server, spec }) => generationKey(server, spec))),
      failures: journal.failures(),
      moves: journal.moves(),
      history: journal.history(searched),
      grantsFile: publisher.table?.grantsFile ?? '',
    })
  }

  tools(server: string | undefined, signal: AbortSignal): Promise<readonly ListedServer[]> {
    return listTools(this.#rounds.publisher, server, signal)
  }

  log(question: LogQuestion, signal: AbortSignal): Promise<string> {
    return readLog(question, this.#place(), signal)
  }

  follow(question: LogQuestion, signal: AbortSignal): AsyncGenerator<string> {
    const wait = (limit: number) => this.#rounds.bell.next(limit, signal)
    return followLog(question, () => this.#place(), { signal, wait })
  }

  buildLog(question: LogQuestion): string {
    return readBuildLog(question, this.#place(), this.#rounds.narration)
  }

  approve(plan: string): void {
    approve(plan, this.#place())
    this.#rounds.ask()
  }

  suspend(server: string): void {
    suspend(server, this.#place())
    this.#rounds.ask()
  }

  resume(server: string): void {
    resume(server, this.#place())
    this.#rounds.ask()
  }

  retry(server: string): void {
    retry(server, this.#place())
    this.#rounds.ask()
  }

  async rollback(server: string, to: string | undefined, signal: AbortSignal): Promise<{ readonly commit: string }> {
    const done = await rollBack({ server, to }, this.#place(), signal)
    this.#rounds.ask()
    return done
  }

  #place(): { readonly means: Means; readonly seen: Seen } {
    const { means, seen, host } = this.#rounds
    if (means === undefined) throw new HostDown(host.reason)
    if (seen === undefined) throw new Refused('no commit has been aimed at yet: "gateway status" says why')
    return { means, seen }
  }

  async changed(wait: number, signal: AbortSignal): Promise<void> {
    await this.#rounds.bell.next(wait, signal)
  }

  ready(): { readonly ok: boolean; readonly reasons: readonly string[] } {
    const source = this.#office.sourceState()
    const { host, publisher, seen } = this.#rounds
    const live = seen === undefined ? [] : liveReports(seen.sight, publisher.heard)
    const reasons = [
      ...(source.ok ? [] : [`repository: ${source.reason}`]),
      ...(host.ok ? [] : [`host: ${host.reason}`]),
      ...(live.length > 0 ? [] : ['no proxy that runs has called yet']),
    ]
    return { ok: reasons.length === 0, reasons }
  }

  async down(options: { readonly volumes: boolean }, signal: AbortSignal): Promise<void> {
    const { means } = this.#rounds
    if (means === undefined) throw new HostDown(this.#rounds.host.reason)
    await this.#rounds.leave('taken down; the next start of the controller runs it again')
    await means.host.down(options, signal)
  }
}
