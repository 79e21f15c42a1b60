import { expect, test } from 'vitest'
import { explain } from '../../controller/explain.ts'
import { plan } from '../../controller/plan.ts'
import { noticeable } from '../../controller/update/check.ts'
import * as make from '../support/make.ts'

const outline = make.server('outline')
const old = make.server('outline', {
  runs: { kind: 'build', input: make.buildInput({ 'servers/outline/main.ts': 'b', 'servers/outline/old.ts': 'c' }) },
})

function picture(aim: Parameters<typeof plan>[0], observed: Parameters<typeof plan>[2]): string {
  return `\n${explain(plan(aim, make.wanted, observed))}`
}

test('raises edge, proxy and each server on an empty host', () => {
  const empty = make.observed([], { sight: { edge: undefined, proxies: [], generations: [], built: new Set() } })
  expect(
    picture(make.aim([outline, make.server('5etools')], { bob: make.agent({ outline: make.whole }) }), empty),
  ).toBe(`
+   edge      no edge yet
+   proxy     no proxy yet
+   5etools   new in the commit
+   outline   new in the commit
~   bob       gains outline
2 to build, 2 to create, 0 to replace, 0 to remove, 1 grant added`)
})

test('does nothing when the host already agrees', () => {
  const agents = { bob: make.agent({ outline: make.whole }) }
  const settled = make.observed([make.running(outline)], { table: make.table([outline], agents) })
  expect(plan(make.aim([outline], agents), make.wanted, settled)).toEqual([])
})

test('replaces a server whose build input changed, and names the files', () => {
  const observed = make.observed([make.running(old)], {
    table: make.table([old]),
    known: new Map([[make.keyOf(old), make.runTarget(old).parts]]),
  })
  expect(picture(make.aim([outline]), observed)).toBe(`
+/- outline   build input changed: servers/outline/main.ts, servers/outline/old.ts
1 to build, 1 to replace, 0 to remove`)
})

test('names what loosens the defaults when a server is new or its settings changed, and not at every build', () => {
  const loosens = ['runs as root (user: 0)']
  const rooted = make.server('outline', { user: '0', loosens, config: 'root' })
  expect(picture(make.aim([rooted]), make.observed([]))).toContain('new in the commit; runs as root (user: 0)')
  const known = new Map([[make.keyOf(outline), make.runTarget(outline).parts]])
  const before = make.observed([make.running(outline)], { table: make.table([outline]), known })
  expect(picture(make.aim([rooted]), before)).toContain('user changed; runs as root (user: 0)')
  const rebuilt = make.server('outline', { ...old, loosens })
  expect(picture(make.aim([rebuilt]), before)).not.toContain('root')
})

test('replaces without a build when only settings changed', () => {
  const before = make.server('outline', { env: { URL: 'a' }, limits: { memory: 1, cpus: 1, pids: 1 } })
  const after = make.server('outline', { env: { URL: 'b' } })
  const observed = make.observed([make.running(before)], {
    sight: make.sight([make.running(before)], { built: make.built(after) }),
    table: make.table([before]),
    known: new Map([[make.keyOf(before), make.runTarget(before).parts]]),
  })
  expect(picture(make.aim([after]), observed)).toBe(`
+/- outline   env.URL, limits changed
0 to build, 1 to replace, 0 to remove`)
})

test('replaces what the stdio wrapper serves when that has another version, and nothing else', () => {
  const stdio = { sessions: 8, idle: 600_000 }
  const [spoken, plain] = [make.server('spoken', { stdio }), make.server('plain')]
  const observed = make.observed([make.running(spoken), make.running(plain)], {
    sight: make.sight([make.running(spoken), make.running(plain)], {
      built: new Set([...make.built(spoken), ...make.built(plain)]),
    }),
    table: make.table([spoken, plain]),
    known: new Map([spoken, plain].map((one) => [make.keyOf(one), make.runTarget(one).parts])),
  })
  const newer = make.aim([spoken, plain], {}, { stdio: 'newer' })
  expect(picture(newer, observed)).toBe(`
+/- spoken   stdio wrapper changed
0 to build, 1 to replace, 0 to remove`)
  expect(noticeable(plan(newer, make.wanted, observed))).toEqual([])
  const fewer = make.server('spoken', { stdio: { ...stdio, sessions: 2 }, config: 'fewer' })
  expect(picture(make.aim([fewer, plain]), observed)).toContain('+/- spoken   stdio changed')
  expect(noticeable(plan(make.aim([fewer, plain]), make.wanted, observed))).toHaveLength(1)
})

test('stops first where generations would write one volume', () => {
  const volumes = [{ source: 'data', target: '/data', shared: false }]
  const after = make.server('outline', { volumes, config: 'other' })
  const observed = make.observed([make.running(outline)], { table: make.table([outline]) })
  expect(picture(make.aim([after]), observed)).toBe(`
-/+ outline   it differs from what runs
1 to build, 1 to replace, 0 to remove`)
})

test('routes in place when only the route changed', () => {
  const renamed = make.server('outline', { prefix: 'wiki' })
  const observed = make.observed([make.running(outline)], { table: make.table([outline]) })
  expect(picture(make.aim([renamed]), observed)).toBe(`
~   outline   prefix changed
0 to build, 0 to replace, 0 to remove, 1 to route`)
})

test('routes in place when a budget changed', () => {
  const limited = make.server('outline', { budgets: { search: { calls: 2, per: 'day', tools: ['search'] } } })
  const observed = make.observed([make.running(outline)], { table: make.table([outline]) })
  expect(picture(make.aim([limited]), observed)).toBe(`
~   outline   budget changed
0 to build, 0 to replace, 0 to remove, 1 to route`)
})

test('removes what the commit no longer names', () => {
  const observed = make.observed([make.running(outline)], { table: make.table([outline]) })
  expect(picture(make.aim([]), observed)).toBe(`
-   outline   no longer in the commit
0 to build, 0 to replace, 1 to remove`)
})

test('says who gains and loses what, losses first', () => {
  const before = {
    ann: make.agent({ outline: make.whole }),
    bob: make.agent({ outline: make.whole }),
    cy: make.agent({ outline: { tools: ['search_*'], prompts: [], resources: [] } }),
  }
  const after = {
    bob: make.agent({ outline: { tools: ['read'], prompts: [], resources: [] } }),
    cy: make.agent({ outline: make.whole }, { through: ['outline'] }),
  }
  const observed = make.observed([make.running(outline)], { table: make.table([outline], before) })
  expect(picture(make.aim([outline], after), observed)).toBe(`
~   ann   loses every server: no longer in permissions.yaml
~   bob   keeps of outline only: tools read
~   cy    gains of outline
0 to build, 0 to replace, 0 to remove, 1 grant added, 2 revoked`)
})

test('holds a server whose secret the machine lacks, and goes on with the others', () => {
  const wiki = make.server('wiki', { secrets: { API_KEY: 'WIKI_KEY' } })
  expect(picture(make.aim([outline, wiki]), make.observed([]))).toBe(`
+   outline   new in the commit
!   wiki      WIKI_KEY is not in the secrets file /opt/gateway/.env (GATEWAY_SECRETS)
1 to build, 1 to create, 0 to replace, 0 to remove, 1 held`)
})

test('names each secret that is missing once', () => {
  const needy = make.server('wiki', { secrets: { KEY: 'WIKI_KEY', SAME: 'WIKI_KEY', URL: 'WIKI_URL' } })
  expect(picture(make.aim([needy]), make.observed([]))).toContain(
    '!   wiki   WIKI_KEY, WIKI_URL are not in the secrets file /opt/gateway/.env (GATEWAY_SECRETS)',
  )
})

test('does not try again what failed for this commit', () => {
  const { spec } = make.runTarget(outline).generation
  const failures = new Map([['outline', make.failure({ spec, reason: 'the build failed' })]])
  const observed = make.observed([make.running(old)], { table: make.table([old]), failures })
  expect(picture(make.aim([outline]), observed)).toBe(`
!   outline   the build failed
0 to build, 0 to replace, 0 to remove, 1 held`)
})

test('tries again what failed for an earlier commit', () => {
  const { spec } = make.runTarget(outline).generation
  const failures = new Map([['outline', make.failure({ spec, commit: 'c0', reason: 'the build failed' })]])
  const observed = make.observed([make.running(old)], { table: make.table([old]), failures })
  expect(picture(make.aim([outline]), observed)).toContain('+/- outline')
})

test('starts again what should serve and stopped', () => {
  const stopped = make.running(outline, { state: 'exited', exitCode: 137 })
  const observed = make.observed([stopped], {
    sight: make.sight([stopped], { built: make.built(outline) }),
    table: make.table([outline]),
  })
  expect(picture(make.aim([outline]), observed)).toBe(`
+   outline   it stopped with exit code 137
0 to build, 1 to create, 0 to replace, 0 to remove`)
})

test('gives back its route to what was about to be stopped for a generation that is no longer wanted', () => {
  const table = make.table([outline])
  const { upstream: _, ...waiting } = table.servers.outline!
  const observed = make.observed([make.running(outline)], { table: { ...table, servers: { outline: waiting } } })
  expect(picture(make.aim([outline]), observed)).toContain('+   outline   started, but not yet ready')
})

test('stops a generation that runs on beside the one that serves', () => {
  const observed = make.observed([make.running(old), make.running(outline)], { table: make.table([outline]) })
  expect(picture(make.aim([outline]), observed)).toContain(
    `-   outline@${make.runTarget(old).generation.spec.slice(0, 8)}`,
  )
})

test('replaces proxies that are older than their edge', () => {
  const edge = { id: 'e', name: 'gateway-edge', state: 'running' as const, startedAt: 9, address: make.wanted.address }
  const observed = make.observed([], { sight: make.sight([], { edge }) })
  expect(picture(make.aim([]), observed)).toBe(`
-/+ proxy   edge restarted
0 to build, 0 to replace, 0 to remove`)
})

test('replaces a proxy of an older version beside it', () => {
  const proxies = [{ id: 'p', name: 'gateway-proxy-p0', state: 'running' as const, startedAt: 2, spec: 'p0' }]
  expect(picture(make.aim([]), make.observed([], { sight: make.sight([], { proxies }) }))).toBe(`
+/- proxy   the gateway has a new version
0 to build, 0 to replace, 0 to remove`)
})

const elsewhere = make.server('outline', { runs: { kind: 'url', url: 'http://outline.example:3000/mcp' } })
const held = make.server('outline', { secrets: { KEY: 'KEY' } })
const { spec: wantedSpec } = make.runTarget(outline).generation
const stalled = new Map([['outline', make.failure({ spec: wantedSpec, reason: 'the build failed' })]])

test('stops what ran here when the server runs elsewhere now, once', () => {
  const table = make.table([outline])
  expect(picture(make.aim([elsewhere]), make.observed([make.running(outline)], { table }))).toBe(`
~   outline            its address changed
-   outline@${wantedSpec.slice(0, 8)}   it runs elsewhere now
0 to build, 0 to replace, 0 to remove, 1 to route`)
  expect(picture(make.aim([elsewhere]), make.observed([make.running(outline, { state: 'exited' })], { table }))).toBe(`
~   outline   its address changed
0 to build, 0 to replace, 0 to remove, 1 to route`)
})

test('keeps one generation for a way back, though a pass was cut short before the one before it was removed', () => {
  const kept = ['aaaaaaaa', 'bbbbbbbb'].map((spec, at) =>
    make.running(old, { spec, id: spec, state: 'exited', startedAt: 1 - at }),
  )
  const observed = (stopped: typeof kept) =>
    make.observed([make.running(outline), ...stopped], { table: make.table([outline]) })
  expect(picture(make.aim([outline]), observed(kept))).toBe(`
-   outline@bbbbbbbb   one is kept for a way back
0 to build, 0 to replace, 0 to remove`)
  expect(picture(make.aim([outline]), observed(kept.slice(1)))).toBe(`
0 to build, 0 to replace, 0 to remove`)
})

test('starts again what served before, while what the commit asks for is stalled', () => {
  const stopped = make.running(old, { state: 'exited', exitCode: 137 })
  const observed = make.observed([stopped], { table: make.table([old]), failures: stalled })
  expect(picture(make.aim([outline]), observed)).toBe(`
!   outline   the build failed
+   outline   it stopped with exit code 137
0 to build, 0 to replace, 0 to remove, 1 to start again, 1 held`)
})

test('lets calls reach again what serves while its server is held, and stops what runs beside it', () => {
  const table = make.table([old])
  const { upstream: _, ...waiting } = table.servers.outline!
  const observed = make.observed([make.running(old), make.running(outline)], {
    table: { ...table, servers: { outline: waiting } },
  })
  expect(picture(make.aim([held]), observed)).toBe(`
!   outline            KEY is not in the secrets file /opt/gateway/.env (GATEWAY_SECRETS)
-   outline@${wantedSpec.slice(0, 8)}   it does not serve
+   outline            it runs, and calls do not reach it
0 to build, 0 to replace, 0 to remove, 1 to start again, 1 held`)
})

test('touches nothing of a held server where it is not known what serves', () => {
  expect(picture(make.aim([held]), make.observed([make.running(outline)]))).toBe(`
!   outline   KEY is not in the secrets file /opt/gateway/.env (GATEWAY_SECRETS)
0 to build, 0 to replace, 0 to remove, 1 held`)
})
