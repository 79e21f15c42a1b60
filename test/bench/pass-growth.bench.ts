import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aimAt } from '../../controller/aim.ts'
import { compile } from '../../controller/compile/compile.ts'
import type { Desired } from '../../controller/desired.ts'
import { explainLines } from '../../controller/explain.ts'
import { plan } from '../../controller/plan.ts'
import { settle } from '../../controller/routes.ts'
import { anyMachine, settled } from '../../controller/settled.ts'
import { openSource } from '../../controller/source/source.ts'
import { imageServer } from '../support/core.ts'
import { wanted } from '../support/make.ts'
import { createRepository } from '../support/repository.ts'
import { type Figures, timed } from './figures.ts'

/**
 * How the parts of a pass grow with the manifests: a real repository, its mirror, and all that is pure after them; the host and the
 * proxies are not in it.
 */

/** As many as permissions.yaml may hold, which is refused over 1 MiB; more are made of the last one, after it was compiled. */
const mostInFile = 8_000
const sizes = [
  { servers: 10, agents: 10 },
  { servers: 100, agents: 100 },
  { servers: 1_000, agents: 1_000 },
  { servers: 10, agents: mostInFile },
  { servers: 10, agents: 100_000 },
]

function permissions(agents: number): string {
  const lines = Array.from({ length: agents }, (_, index) => {
    const hash = createHash('sha256').update(`token ${index}`).digest('hex')
    return `  agent-${index}:\n    token_hash: "sha256:${hash}"\n    servers: [s0, s1]\n`
  })
  return `agents:\n${lines.join('')}`
}

function withAgents(desired: Desired, agents: number): Desired {
  const [model] = Object.values(desired.agents).slice(-1)
  if (model === undefined || agents <= mostInFile) return desired
  const more = Array.from({ length: agents - mostInFile }, (_, index) => {
    const hash = createHash('sha256').update(`more ${index}`).digest('hex')
    return [`more-${index}`, { ...model, hashes: [hash] }] as const
  })
  return { ...desired, agents: { ...desired.agents, ...Object.fromEntries(more) } }
}

async function measure({ servers, agents }: (typeof sizes)[number]): Promise<readonly string[]> {
  await using repository = await createRepository()
  const files = Object.fromEntries(
    Array.from({ length: servers }, (_, index) => [`manifests/servers/s${index}.yaml`, imageServer('1')]),
  )
  await repository.publish({ ...files, 'manifests/permissions.yaml': permissions(Math.min(agents, mostInFile)) })
  const state = await mkdtemp(join(tmpdir(), 'bench-growth-'))
  const signal = AbortSignal.timeout(300_000)
  try {
    const options = { repo: repository.bare, branch: 'main', path: '', state }
    const source = await openSource({ ...options, inherited: { PATH: process.env.PATH ?? '' } })
    await source.fetch(signal)
    await repository.publish({ 'README.md': 'one more commit' })
    const [tree, fetched] = await timed(() => source.fetch(signal))
    const [compiled, compiledIn] = await timed(() => compile(tree, signal))
    if (!compiled.ok) throw new Error(compiled.faults[0]?.message)
    const desired = withAgents(compiled.desired, agents)
    const machine = anyMachine(desired)
    const [, looked] = await timed(() => source.fetch(signal))
    const [aim, aimed] = await timed(() => aimAt(desired, machine))
    const observed = settled(aim)
    const { table } = observed
    if (table === undefined) throw new Error('nothing is settled')
    const [, admitted] = await timed(() => settle(table, aim))
    const [steps, planned] = await timed(() => plan(aim, wanted, observed))
    explainLines(steps)
    return [fetched, compiledIn, looked, aimed, admitted, planned].map((ms) => ms.toFixed(1))
  } finally {
    await rm(state, { recursive: true, force: true })
  }
}

export async function passGrowthBench(): Promise<Figures> {
  const rows: (readonly (string | number)[])[] = []
  for (const size of sizes) rows.push([size.servers, size.agents, ...(await measure(size))])
  const columns = ['servers', 'agents', 'fetch', 'compile', 'look', 'aim', 'table', 'plan'] as const
  const about =
    'ms. A new commit is fetched and compiled; each pass looks, aims, brings the table up to date and plans. A real repository and its mirror; without host and proxies. permissions.yaml ends at 1 MiB, so that most of 100,000 agents are added after it was compiled.'
  return { tables: [{ title: 'The parts of a pass, as manifests grow', about, columns, rows }] }
}
