import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Status } from '#manifests/status.ts'
import type { Heard } from './publish.ts'

/** What is counted while it happens; the rest of the metrics is read from the status when somebody asks. */
export interface Meters {
  /** A half of a pass ended, well or badly, after so many seconds. */
  passed(half: 'heading' | 'host', outcome: 'done' | 'failed', seconds: number): void
  built(server: string, outcome: 'done' | 'failed', seconds: number): void
  /** A server's new generation came to serve, was refused, or was taken back while it baked. */
  rolled(server: string, outcome: 'done' | 'failed' | 'rolled-back', seconds: number): void
  /** What had served was started again. */
  healed(server: string): void
  /** A delivery came: taken, repeated, refused; or none came for a commit that a poll found. */
  webhook(outcome: 'taken' | 'repeated' | 'refused' | 'missed'): void
  /** All metrics in Prometheus' text format. */
  text(status: Status, heard: ReadonlyMap<string, Heard>): Promise<string>
}

/** `Content-Type` of what `text` gives. */
export const metricsType = Registry.PROMETHEUS_CONTENT_TYPE

const long = [0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1800]

/** Counts of one controller, of its own and of no other's in the same process. */
export function createMeters(): Meters {
  const registry = new Registry()
  const registers = [registry]
  const counter = (name: string, help: string, labelNames: readonly string[]) =>
    new Counter({ name: `gateway_${name}`, help, labelNames: [...labelNames], registers })
  const timer = (name: string, help: string, labelNames: readonly string[]) =>
    new Histogram({ name: `gateway_${name}`, help, labelNames: [...labelNames], buckets: long, registers })
  const passes = timer('pass_duration_seconds', 'Halves of passes, by outcome.', ['half', 'outcome'])
  const builds = timer('build_duration_seconds', 'Builds, by outcome.', ['server', 'outcome'])
  const rollouts = timer('rollout_duration_seconds', 'From the start of a rollout to its outcome.', [
    'server',
    'outcome',
  ])
  const heals = counter('heals_total', 'Times that what had served was started again.', ['server'])
  const webhooks = counter('webhook_deliveries_total', 'Deliveries of the forge, and commits without one.', ['outcome'])
  return {
    passed: (half, outcome, seconds) => passes.observe({ half, outcome }, seconds),
    built: (server, outcome, seconds) => builds.observe({ server, outcome }, seconds),
    rolled: (server, outcome, seconds) => rollouts.observe({ server, outcome }, seconds),
    healed: (server) => heals.inc({ server }),
    webhook: (outcome) => webhooks.inc({ outcome }),
    text: async (status, heard) => {
      const now = await gaugesOf(status, heard).metrics()
      return `${now}\n${await registry.metrics()}`
    },
  }
}

/** What is true now, in a registry made anew: a server that is gone leaves no line behind. */
function gaugesOf(status: Status, heard: ReadonlyMap<string, Heard>): Registry {
  const registry = new Registry()
  const gauge = gaugesIn(registry)
  const { attempted, applied } = status
  gauge('info', 'The controller.', ['instance', 'version']).set(
    { instance: status.instance, version: status.version },
    1,
  )
  gauge('source_up', 'Whether the last look at the repository succeeded.').set(Number(status.source.ok))
  if (status.source.at !== undefined)
    gauge('source_last_success_timestamp_seconds', 'When the repository answered last.').set(
      Date.parse(status.source.at) / 1_000,
    )
  gauge('host_up', 'Whether the host answers.').set(Number(status.host.ok))
  gauge('table_revision', 'Revision of the table last published.').set(status.revision)
  const commit = gauge('commit_info', 'Head of the branch, with its phase, and the commit applied last.', [
    'sha',
    'phase',
  ])
  if (attempted !== undefined) commit.set({ sha: attempted.commit, phase: attempted.phase }, 1)
  if (applied !== undefined && applied !== attempted?.commit) commit.set({ sha: applied, phase: 'applied' }, 1)
  const server = gauge('server_info', 'Servers, with their phases.', ['server', 'phase'])
  const ready = gauge('server_ready', 'Whether the server serves what the commit asks for.', ['server'])
  const calls = gauge('server_calls', 'Calls in flight.', ['server'])
  const drifted = gauge('server_tools_drifted', 'Tools that differ from tools.lock.yaml.', [
    'server',
    'change',
    'treated',
  ])
  const suspicious = gauge('server_tools_suspicious', 'Things that tools say and should not.', ['server', 'kind'])
  for (const one of status.servers) {
    for (const { change, treated } of one.drift ?? []) drifted.inc({ server: one.name, change, treated })
    for (const { kind } of one.suspicions ?? []) suspicious.inc({ server: one.name, kind })
    server.set({ server: one.name, phase: one.phase }, 1)
    ready.set({ server: one.name }, Number(one.phase === 'ready'))
    if (one.calls !== undefined) calls.set({ server: one.name }, one.calls)
  }
  metersOfBudgets(status, registry)
  metersOfProxies(status, heard, registry)
  return registry
}

function gaugesIn(registry: Registry) {
  return (name: string, help: string, labelNames: readonly string[] = []) =>
    new Gauge({ name: `gateway_${name}`, help, labelNames: [...labelNames], registers: [registry] })
}

function metersOfBudgets({ servers }: Status, registry: Registry): void {
  const gauge = gaugesIn(registry)
  const labels = ['server', 'budget']
  const used = gauge('budget_used', 'Calls taken of a budget in the time that runs now.', labels)
  const limit = gauge('budget_limit', 'Calls that a budget has.', labels)
  const resets = gauge('budget_resets_timestamp_seconds', 'When a budget is given anew.', labels)
  for (const { name: server, budgets = {} } of servers)
    for (const [budget, use] of Object.entries(budgets)) {
      used.set({ server, budget }, use.used)
      limit.set({ server, budget }, use.calls)
      resets.set({ server, budget }, Date.parse(use.resets) / 1_000)
    }
}

function metersOfProxies(status: Status, heard: ReadonlyMap<string, Heard>, registry: Registry): void {
  const gauge = gaugesIn(registry)
  const live = gauge('proxy_up', 'Whether the proxy runs.', ['proxy'])
  const have = gauge('proxy_revision', 'Revision of the table that the proxy has.', ['proxy'])
  const counted = new Counter({
    name: 'gateway_proxy_events_total',
    help: 'What the proxy has counted since it started.',
    labelNames: ['proxy', 'event'],
    registers: [registry],
  })
  for (const proxy of status.proxies) {
    live.set({ proxy: proxy.name }, Number(proxy.live))
    have.set({ proxy: proxy.name }, proxy.have)
    const counters = Object.entries(heard.get(proxy.name)?.report.counters ?? {})
    for (const [event, value] of counters) counted.inc({ proxy: proxy.name, event }, value)
  }
}
