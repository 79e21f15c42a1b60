import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import { createChronicle } from '../chronicle.ts'
import { compile } from '../compile/compile.ts'
import type { Config } from '../config/config.ts'
import { explainLines } from '../explain.ts'
import { stdioWrapper } from '../generation.ts'
import type { Origin } from '../guides.ts'
import { takeHeading } from '../heading.ts'
import type { Host } from '../host.ts'
import { openJournal } from '../journal/journal.ts'
import { openMachine } from '../machine.ts'
import { createPublisher } from '../publish.ts'
import { planFor } from '../reconcile.ts'
import { emptyDraft } from '../routes.ts'
import { openSource } from '../source/source.ts'
import type { Step } from '../step.ts'

/** What the machine does by itself meanwhile is put right by the controller that runs, so that one look is not enough. */
const looks = { times: 3, pause: 4_000 }

export interface Question {
  readonly config: Config
  readonly host: Host
  readonly commit: string
  readonly log: Logger
}

/**
 * What this version would do for a commit that the version which runs has nothing left to do for, a line each; nothing but to
 * replace proxies, which nobody notices, is none. Works on a copy of the journal, takes no lease and changes nothing.
 */
export async function differences(question: Question, signal: AbortSignal): Promise<readonly string[]> {
  let lines: readonly string[] = []
  for (let time = 0; time < looks.times; time++) {
    if (time > 0) await pause(looks.pause, undefined, { signal })
    lines = noticeable(await planAnew(question, signal))
    if (lines.length === 0) return lines
  }
  return lines
}

/** The lines of a plan that somebody would notice: not those of what comes with a version, proxies and the stdio wrapper. Pure. */
export function noticeable(steps: readonly Step[]): readonly string[] {
  const heavy = steps.filter(
    (step) => !['hold', 'proxy', 'controller'].includes(step.do) && !step.because.startsWith(`${stdioWrapper} changed`),
  )
  return explainLines(heavy)
    .slice(0, -1)
    .map((line) => line.replace(/ +/g, ' ').trim())
}

async function planAnew({ config, host, commit, log }: Question, signal: AbortSignal): Promise<readonly Step[]> {
  const folder = await mkdtemp(join(tmpdir(), 'gateway-check-'))
  try {
    copyJournal(config.state, folder)
    using journal = openJournal(folder, config.state)
    const source = await openSource(config.source)
    const tree = (one: string) => source.tree(one)
    const origin: Origin = {
      fetch: () => tree(commit),
      patience: () => 0,
      tree,
      skipped: async () => [],
      lineage: (...asked) => source.lineage(...asked),
      vet: (...asked) => source.vet(...asked),
    }
    const publisher = createPublisher(journal, emptyDraft(''))
    const chronicle = createChronicle(journal, () => {})
    const signed = config.source.signers !== undefined
    const own = { publisher, journal, chronicle, log, signed }
    const guides = { source: origin, compile, machine: await openMachine(config), ...own }
    const heading = await takeHeading(guides, {}, signal)
    if (heading.aim === undefined) throw new Error(`this version sees nothing to do in commit ${commit}`)
    const sight = await host.observe(signal)
    return planFor({ host, publisher, journal, chronicle }, { ...heading, aim: heading.aim }, sight)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** As it is at one moment, while the controller that runs goes on writing. */
function copyJournal(state: string, folder: string): void {
  const db = new DatabaseSync(join(state, 'journal.db'), { readOnly: true })
  try {
    db.prepare('vacuum into ?').run(join(folder, 'journal.db'))
  } finally {
    db.close()
  }
}
