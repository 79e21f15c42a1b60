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

const { merged, tip, approved, signers, ...place } = Question.parse(workerData)
const { folder, path } = place
const ending = new AbortController()
const { signal } = ending
const bare = createBareGit(place)
const git: Git = (args, run) => bare(args, { ...run, signal })
const mirror = new Mirror(folder, git)
const tree = (commit: string) => openBareTree(place, commit)
// Its files lie with the heads, and go with them: the controller's own history has others.
const history = new History({ folder, home: folder, git, below: path })
const notary = signers === undefined ? undefined : new Notary({ path: signers, history, tree, lacking: async () => '' })

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

async function readAll(): Promise<Readings> {
  const { accepted } = place
  // A mirror that was made anew may lack it: then it is as if there were none.
  const base = accepted !== undefined && (await history.knows(accepted)) ? accepted : undefined
  return {
    merged: await read(merged, base),
    tip: await read(tip, base),
    accepted: base === undefined ? undefined : await compile(await tree(base)),
  }
}

async function read(commit: string, base: string | undefined): Promise<Reading> {
  const whole = await tree(commit)
  const compiled = await compile(whole)
  const seen = await trustedPart(whole, base)
  return {
    whole: compiled,
    trusted: seen.tree === whole ? compiled : await compile(seen.tree),
    held: seen.held,
    lineage: base === undefined ? undefined : await readLineage(mirror, base, commit),
  }
}

/** As a pass does it, by what it remembers and has been told. */
async function trustedPart(whole: Tree, accepted: string | undefined): Promise<Trusted> {
  if (notary === undefined) return { tree: whole, held: [] }
  const source = { vet: (head: Tree, base: string | undefined) => notary.vet({ head, base }) }
  const journal = { accepted: () => accepted, approvals: () => approved }
  return (await trusted({ source, journal }, whole, signal)) ?? { tree: whole, held: [] }
}
