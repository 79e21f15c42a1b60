import { setTimeout as sleep } from 'node:timers/promises'
import type { ListedServer } from '#manifests/lock.ts'
import type { CommitStatus, PullStatus, ServerStatus, Status } from '#manifests/status.ts'
import { type Controller, Refused } from '../../controller/controller.ts'
import { createNarration, type Narration } from '../../controller/narration.ts'
import { createWire } from '../../controller/wire.ts'

/** A controller without repository and host: what it tells is what a test puts into it. */
export interface MemoryController extends Controller {
  /** How often a pass was asked for. */
  pokes: number
  readonly downs: { readonly volumes: boolean }[]
  readonly wishes: string[]
  readonly narration: Narration
  readonly commits: CommitStatus[]
  readonly servers: ServerStatus[]
  readonly pulls: PullStatus[]

  /** What its servers' tools are. */
  readonly listed: ListedServer[]
  readyReasons: string[]
  /** Lets whoever waits see what a test has just changed. */
  announce(): void
}

export function commitStatus(commit: string, fields: Partial<CommitStatus> = {}): CommitStatus {
  const at = '2030-01-02T03:04:05.678Z'
  return {
    commit,
    phase: 'applied',
    seen: at,
    since: at,
    reason: 'as it says',
    errors: [],
    plan: [],
    servers: {},
    ...fields,
  }
}

export function serverStatus(name: string, fields: Partial<ServerStatus> = {}): ServerStatus {
  return { name, phase: 'ready', reason: 'serves', description: `the server ${name}`, ...fields }
}

const final: readonly string[] = ['applied', 'degraded', 'rejected', 'held', 'superseded']

export function createMemoryController(): MemoryController {
  let waiting: (() => void)[] = []
  const wire = createWire<CommitStatus>()
  const controller: MemoryController = {
    pokes: 0,
    downs: [],
    wishes: [],
    narration: createNarration(),
    commits: [],
    servers: [],
    pulls: [],

    listed: [],
    readyReasons: [],
    announce() {
      for (const wake of waiting) wake()
      waiting = []
      for (const status of controller.commits) wire.say(status.commit, status)
    },
    async status(view) {
      return statusOf(controller, view)
    },
    async commit(sha, wait, signal) {
      const find = () => controller.commits.find(({ commit }) => commit === sha)
      const end = Date.now() + wait
      while (Date.now() < end && find() !== undefined && !final.includes(find()!.phase))
        await controller.changed(end - Date.now(), signal)
      return find()
    },
    pull: (number) => controller.pulls.find((one) => one.number === number),
    history: (limit) => controller.commits.slice(0, limit),
    news: (beat, signal) => wire.listen(beat, signal),
    metrics: async () => '# nothing\n',
    poke: () => void controller.pokes++,
    async reconcile(signal) {
      controller.pokes++
      while (!final.includes(controller.commits[0]?.phase ?? '')) await controller.changed(60_000, signal)
      return controller.commits[0]!
    },
    async changed(wait, signal) {
      const woken = new Promise<void>((wake) => waiting.push(wake))
      await Promise.race([woken, sleep(wait, undefined, { signal })])
    },
    ready: () => ({ ok: controller.readyReasons.length === 0, reasons: controller.readyReasons }),
    approve: (plan) => void controller.wishes.push(`approve ${plan}`),
    suspend: (server) => void controller.wishes.push(`suspend ${server}`),
    resume: (server) => void controller.wishes.push(`resume ${server}`),
    retry(server) {
      if (server === 'nobody') throw new Refused('no server "nobody" (there are: wiki)')
      controller.wishes.push(`retry ${server}`)
    },
    async rollback(server, to) {
      controller.wishes.push(`rollback ${server} ${to}`)
      return { commit: to ?? 'b2'.repeat(20) }
    },
    narrate: (beat, signal) => controller.narration.listen(beat, signal),
    explain: async (name, tool) => ({ about: 'agent', name, facts: [{ what: 'tool', is: tool ?? 'none' }] }),
    tools: async (server) => controller.listed.filter((one) => server === undefined || one.server === server),
    log: async ({ server, tail }) => `the last ${tail} lines of ${server}`,
    async *follow({ server }, signal) {
      yield `${server} says\n`
      await sleep(60_000, undefined, { signal }).catch(() => {})
    },
    buildLog: ({ server }) => (controller.narration.lastBuild(server) ?? []).join('\n'),
    async down(options) {
      controller.downs.push(options)
    },
  }
  return controller
}

function statusOf({ commits, servers }: MemoryController, view: 'public' | 'operator'): Status {
  return {
    instance: 'gateway',
    version: '0.0.0',
    repository: 'https://forge.example/homelab/gateway.git',
    branch: 'main',
    source: { ok: true, reason: 'read' },
    host: { ok: true, reason: 'answers' },
    attempted: commits[0],
    applied: commits.find(({ phase }) => phase === 'applied')?.commit,
    revision: 7,
    proxies: [{ name: 'gateway-proxy', have: 7, live: true, reason: 'has the table' }],
    servers: servers.map(({ log, ...shown }) => (view === 'operator' ? { ...shown, log } : shown)),
    ...(view === 'operator' ? { access: { 'agent-a': { wiki: ['*'] } } } : {}),
  }
}
