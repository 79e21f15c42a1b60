import { parentPort, workerData } from 'node:worker_threads'
import { compile } from '../compile/compile.ts'
import type { Tree } from '../desired.ts'
import { createBareGit, openBareTree } from '../source/bare-tree.ts'
import { History } from '../source/history.ts'
import { readLineage } from '../source/lineage.ts'
import { type Git, Mirror } from '../source/mirror.ts'
import { Notary } from '../trust/notary.ts'
import { type Trusted, trusted } from '../trust/trusted.ts'
import { Question, type Reading, type Readings } from './compile-apart.ts'

// What strangers wrote is parsed in a thread of its own: it can take neither the controller's time nor its memory.

const { merged, tip, accepted, approved, signers, ...place } = Question.parse(workerData)
const { folder, path } = place
const ending = new AbortController()
const { signal } = ending
const bare = createBareGit(place)
const git: Git = (args, run) => bare(args, { ...run, signal })
const mirror = new Mirror(folder, git)
const tree = (commit: string) => openBareTree(place, commit, commit)
const notary = signers === undefined ? undefined : openNotary(signers)
const unread: Reading = { whole: { ok: false, faults: [] }, trusted: { ok: false, faults: [] }, held: [] }

parentPort?.once('message', () => {
  ending.abort(new Error('nobody waits for it any more'))
  parentPort?.close()
})
try {
  parentPort?.postMessage(await readAll())
} catch (error) {
  // Where nobody waits, it ends once its git has.
  if (!signal.aborted) throw error
}

/** The first is what is asked about; the mirror may have lost what it is compared with. */
async function readAll(): Promise<Readings> {
  return {
    merged: await read(merged),
    tip: await read(tip).catch(() => unread),
    accepted: accepted === undefined ? undefined : await tree(accepted).then(compile, () => undefined),
  }
}

async function read(commit: string): Promise<Reading> {
  const whole = await tree(commit)
  const compiled = await compile(whole)
  const seen = await trustedPart(whole)
  return {
    whole: compiled,
    trusted: seen.tree === whole ? compiled : await compile(seen.tree),
    held: seen.held,
    lineage: accepted === undefined ? undefined : await readLineage(mirror, accepted, commit).catch(() => undefined),
  }
}

/** As a pass does it, by what it remembers and has been told. */
async function trustedPart(whole: Tree): Promise<Trusted> {
  if (notary === undefined) return { tree: whole, held: [] }
  const source = { vet: (head: Tree, base: string | undefined) => notary.vet({ head, base }) }
  const journal = { accepted: () => accepted, approvals: () => approved }
  return (await trusted({ source, journal }, whole, signal)) ?? { tree: whole, held: [] }
}

/** Its files lie with the heads, and go with them: the controller's own history has others. */
function openNotary(file: string): Notary {
  const history = new History({ folder, home: folder, git, below: path })
  return new Notary({ path: file, history, tree, lacking: async () => '' })
}
