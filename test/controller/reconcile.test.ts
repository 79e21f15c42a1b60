import { rename } from 'node:fs/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { Refused } from '../../controller/controller.ts'
import { HostDown } from '../../controller/host.ts'
import { type Core, imageServer, openCore, permissions } from '../support/core.ts'
import { createMemoryHost } from '../support/memory-host.ts'
import { bad, good } from '../support/memory-proxy.ts'
import { until } from '../support/until.ts'

const wiki = 'manifests/servers/wiki.yaml'
const chess = 'manifests/servers/chess.yaml'
const grants = 'manifests/permissions.yaml'

let core: Core
afterEach(() => core[Symbol.asyncDispose]())

function granted(): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(core.table().agents).map(([name, agent]) => [name, Object.keys(agent.grants)]),
  )
}

function serving(server: string): string | undefined {
  return core.table().servers[server]?.generation
}

function running(): string[] {
  return core.host.generations.filter(({ state }) => state === 'running').map(({ server }) => server)
}

function did(verb: string): number {
  return core.host.did.filter((one) => one.startsWith(verb)).length
}

test('makes a commit true: edge and proxy first, then its servers, then its grants', async () => {
  core = await openCore({ host: createMemoryHost({ stands: false }) })
  const head = await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) })
  const status = await core.becomes(head)
  expect(status).toMatchObject({ phase: 'applied', errors: [], servers: {} })
  expect(status.plan).toEqual([
    '+   edge    no edge yet',
    '+   proxy   no proxy yet',
    '+   wiki    new in the commit',
    '~   ann     gains wiki',
    '0 to build, 1 to create, 0 to replace, 0 to remove, 1 grant added',
  ])
  expect(core.host.did).toEqual(['prepare', 'startEdge', 'startProxy', 'start wiki'])
  expect(granted()).toEqual({ ann: ['wiki'] })
})

test('does nothing for a commit that changes nothing of it', async () => {
  core = await openCore()
  await core.becomes(await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) }))
  await core.rests()
  const { revision } = core.table()
  const head = await core.publish({ 'README.md': 'words' })
  expect(await core.becomes(head)).toMatchObject({ phase: 'applied', plan: ['0 to build, 0 to replace, 0 to remove'] })
  expect(core.host.did).toEqual(['start wiki'])
  expect(core.table().revision).toBe(revision)
})

test('(6) takes away before the host is even looked at', async () => {
  core = await openCore()
  const servers = { [wiki]: imageServer('1'), [chess]: imageServer('2') }
  await core.becomes(
    await core.publish({ ...servers, [grants]: permissions({ ann: ['wiki', 'chess'], bob: ['wiki'] }) }),
  )
  const looks = Promise.withResolvers<void>()
  core.host.fault = (verb) => (verb === 'observe' ? looks.promise : undefined)
  const head = await core.publish({ [grants]: permissions({ ann: ['wiki'] }) })
  await until('the grants are gone', () => JSON.stringify(granted()) === JSON.stringify({ ann: ['wiki'] }))
  await until('the proxy has the table', () => core.proxy().table?.revision === core.table().revision)
  looks.resolve()
  expect(await core.becomes(head)).toMatchObject({ phase: 'applied' })
})

test('gives back nothing by a cut-over that an earlier commit began', async () => {
  core = await openCore()
  await core.becomes(
    await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'], bob: ['wiki'] }) }),
  )
  core.proxy().seen = () => bad('not yet')
  await core.publish({ [wiki]: imageServer('2') })
  await until('the new generation is probed', () => core.table().starting.length === 1)
  await core.passed()
  const look = Promise.withResolvers<void>()
  let hangs = false
  core.host.fault = (verb) => {
    if (verb !== 'observe' || hangs || granted().bob !== undefined) return
    hangs = true
    return look.promise
  }
  await core.publish({ [grants]: permissions({ ann: ['wiki'] }) })
  await until('the pass of the revocation hangs', () => hangs)
  core.proxy().seen = good
  core.proxy().speakUp()
  const before = core.table().revision
  await until('the lane has cut over', () => core.table().starting.length === 0 && core.table().revision > before)
  expect(granted()).toEqual({ ann: ['wiki'] })
  look.resolve()
})

test('(6) adds a grant once its server is ready, and lets it wait for no other', async () => {
  core = await openCore()
  core.proxy().seen = (generation) => (generation.startsWith('chess@') ? bad('busy') : good())
  const servers = { [wiki]: imageServer('1'), [chess]: imageServer('2') }
  const head = await core.publish({ ...servers, [grants]: permissions({ ann: ['wiki', 'chess'] }) })
  await until('the wiki is granted', () => core.rounds().publisher.table?.agents.ann?.grants.wiki !== undefined)
  expect(granted()).toEqual({ ann: ['wiki'] })
  expect(await core.becomes(head)).toMatchObject({
    phase: 'degraded',
    servers: { chess: { phase: 'stalled', reason: 'not ready within 5 s: busy' } },
  })
  expect(granted()).toEqual({ ann: ['wiki'] })
})

test('of a commit with errors does only what its permissions take away', async () => {
  core = await openCore()
  await core.becomes(
    await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'], bob: ['wiki'] }) }),
  )
  await core.rests()
  const head = await core.publish({
    [wiki]: imageServer('2'),
    [chess]: 'imagee: x\n',
    [grants]: permissions({ bob: ['wiki'], eve: ['wiki'] }),
  })
  const status = await core.becomes(head)
  expect(status.phase).toBe('rejected')
  expect(status.errors.join('\n')).toContain('manifests/servers/chess.yaml:1:1')
  await core.passed()
  expect(granted()).toEqual({ bob: ['wiki'] })
  expect(core.host.did).toEqual(['start wiki'])
})

test('does nothing of a commit whose permissions have errors', async () => {
  core = await openCore()
  await core.becomes(await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) }))
  await core.rests()
  const table = core.table()
  await core.becomes(await core.publish({ [wiki]: null, [grants]: 'agents: {}\nagents: {}\n' }), 'rejected')
  await core.passed()
  expect(core.table()).toEqual(table)
})

test('heals what the last good commit asks for while the head has errors, also after a restart', async () => {
  core = await openCore()
  const good = await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'], bob: ['wiki'] }) })
  await core.becomes(good)
  const broken = await core.publish({ [chess]: 'imagee: x\n', [grants]: permissions({ ann: ['wiki'] }) })
  await core.becomes(broken, 'rejected')
  await core.rests()
  await core.end()
  core.host.crash(core.host.generations[0]!.spec, 1)
  await core.restart()
  await until('the wiki runs again', () => running().includes('wiki'))
  await core.rests()
  expect(core.table().servers.wiki?.upstream).toBe(core.host.generations[0]?.upstream)
  expect(granted()).toEqual({ ann: ['wiki'] })
  expect(await core.steward().status('public')).toMatchObject({ attempted: { commit: broken }, applied: good })
})

test('heals after a restart while the repository does not answer, and gives back nothing', async () => {
  core = await openCore()
  await core.becomes(
    await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'], bob: ['wiki'] }) }),
  )
  await core.becomes(
    await core.publish({ [chess]: 'imagee: x\n', [grants]: permissions({ ann: ['wiki'] }) }),
    'rejected',
  )
  await core.rests()
  await core.end()
  await rename(core.repository.bare, `${core.repository.bare}.away`)
  core.host.crash(core.host.generations[0]!.spec, 1)
  await core.restart()
  await until('the wiki runs again', () => running().includes('wiki'))
  await core.rests()
  expect((await core.steward().status('public')).source.ok).toBe(false)
  expect(granted()).toEqual({ ann: ['wiki'] })
  await expect(core.steward().reconcile(AbortSignal.timeout(10_000))).rejects.toThrow('repository')
})

test('goes on with what it was doing when it was stopped, also while the repository does not answer', async () => {
  core = await openCore()
  await core.becomes(await core.publish({ [grants]: permissions({ ann: ['*'] }) }))
  core.proxy().seen = () => bad('not yet')
  const head = await core.publish({ [wiki]: imageServer('1') })
  await until('the wiki is probed', () => core.rounds().publisher.table?.starting.length === 1)
  await core.end()
  await rename(core.repository.bare, `${core.repository.bare}.away`)
  await core.restart()
  expect(await core.becomes(head)).toMatchObject({ phase: 'applied' })
  expect(did('start wiki')).toBe(2)
  expect(core.host.generations).toHaveLength(1)
})

test('tries again by a new commit what is stalled, and not before', async () => {
  core = await openCore()
  core.proxy().seen = () => bad('HTTP 500')
  const head = await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) })
  expect(await core.becomes(head)).toMatchObject({ phase: 'degraded', servers: { wiki: { phase: 'stalled' } } })
  expect(await core.server('wiki')).toMatchObject({ phase: 'stalled', log: expect.stringContaining('last words') })
  core.proxy().seen = good
  await core.passed()
  expect(did('start wiki')).toBe(1)
  expect(await core.becomes(await core.publish({ 'README.md': 'again' }))).toMatchObject({ phase: 'applied' })
  expect(did('start wiki')).toBe(2)
  expect((await core.server('wiki'))?.log).toBeUndefined()
})

test('runs a held server as soon as its secret is there, without a commit', async () => {
  core = await openCore()
  const head = await core.publish({
    [wiki]: imageServer('1', 'secrets: [WIKI_KEY]\n'),
    [grants]: permissions({ ann: ['*'] }),
  })
  expect(await core.becomes(head)).toMatchObject({
    phase: 'degraded',
    servers: {
      wiki: { phase: 'waiting', reason: 'WIKI_KEY is not in the secrets file /opt/gateway/.env (GATEWAY_SECRETS)' },
    },
  })
  core.secrets.set('WIKI_KEY', 'a value')
  core.rounds().ask()
  await core.becomes(head, 'applied')
  expect(granted()).toEqual({ ann: ['wiki'] })
})

test('lets serve on what serves when its server comes to be held, and starts it again if it ends', async () => {
  core = await openCore()
  await core.becomes(await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) }))
  await core.rests()
  await core.becomes(await core.publish({ [wiki]: imageServer('1', 'secrets: [WIKI_KEY]\n') }), 'degraded')
  const before = serving('wiki')
  core.host.crash(core.host.generations[0]!.spec, 1)
  await core.passed()
  await core.rests()
  expect(running()).toEqual(['wiki'])
  expect(core.table().servers.wiki).toMatchObject({ generation: before, upstream: core.host.generations[0]?.upstream })
  expect(granted()).toEqual({ ann: ['wiki'] })
})

test('starts again at once what ends, and not at once what ends as soon as it was started', async () => {
  core = await openCore()
  await core.becomes(await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) }))
  await core.rests()
  const crash = () => {
    core.host.crash(core.host.generations[0]!.spec, 1, Date.now())
    core.rounds().moved()
  }
  crash()
  await until('it runs again', () => running().length === 1)
  await core.rests()
  crash()
  for (let pass = 0; pass < 3; pass++) await core.passed()
  expect(await core.server('wiki')).toMatchObject({ phase: 'deploying' })
  expect(did('start wiki')).toBe(2)
})

test('(27) leaves to people what was started again five times in five minutes, until somebody changes something', async () => {
  core = await openCore()
  const head = await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) })
  await core.becomes(head)
  await core.rests()
  expect(await crashAndCrash()).toBe(5)
  const status = await core.server('wiki')
  expect(status).toMatchObject({
    reason: 'crash loop: 5 times within 5m, last because it stopped with exit code 7',
    log: expect.stringContaining('last words'),
  })
  const starts = did('start wiki')
  await core.passed()
  await core.rests()
  expect(did('start wiki')).toBe(starts)
  const told = await core.becomes(head, 'degraded')
  expect(told.servers).toEqual({ wiki: { phase: 'stalled', reason: status?.reason } })
  expect(told.repaired).toEqual(Array(4).fill(expect.stringMatching(/^20\S+Z wiki: it stopped with exit code 7$/)))
  await core.becomes(await core.publish({ 'README.md': 'changed' }), 'applied')
  await core.rests()
  await crashAndCrash()
  core.steward().retry('wiki')
  await until('it runs again', () => running().length === 1)
  await core.becomes(await core.repository.git('rev-parse', 'HEAD'), 'applied')
})

/** Crashes it whenever it runs, until it is left alone; gives how often. */
async function crashAndCrash(): Promise<number> {
  for (let times = 1; ; times++) {
    core.host.crash(core.host.generations[0]!.spec, 7, 1)
    core.rounds().moved()
    const isStalled = async () => (await core.server('wiki'))?.phase === 'stalled'
    await until('it runs again, or is left alone', async () => running().length === 1 || (await isStalled()))
    await core.rests()
    if (await isStalled()) return times
  }
}

test('(3) gives calls back to what served before when the new generation ends while it bakes', async () => {
  core = await openCore()
  const settings = { 'manifests/gateway.yaml': 'bake: 60s\n' }
  await core.becomes(
    await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }), ...settings }),
  )
  await core.rests()
  const before = core.table().servers.wiki
  const head = await core.publish({ [wiki]: imageServer('2') })
  await until('it bakes', async () => (await core.server('wiki'))?.reason.startsWith('bakes until'))
  expect(core.table().servers.wiki?.generation).not.toBe(before?.generation)
  expect(running()).toEqual(['wiki', 'wiki'])
  expect(await core.steward().commit(head, 0, AbortSignal.timeout(1_000))).toMatchObject({ phase: 'applying' })
  core.host.crash(core.host.generations[1]!.spec, 3)
  core.rounds().moved()
  await until('what served before serves', () => core.table().servers.wiki?.generation === before?.generation, 1_000)
  expect(core.table().servers.wiki).toEqual(before)
  expect(await core.becomes(head, 'degraded')).toMatchObject({
    servers: { wiki: { phase: 'stalled', reason: 'rolled back: it stopped with exit code 3' } },
  })
  await core.rests()
  expect(core.host.generations).toHaveLength(1)
  expect(core.table().draining).toEqual([])
})

test('(27) ends a loop that the host itself keeps up by restarting', async () => {
  core = await openCore()
  await core.becomes(await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) }))
  await core.rests()
  const { spec } = core.host.generations[0]!
  for (const restarts of [1, 3, 4]) {
    core.host.change(spec, { restarts })
    await core.passed()
  }
  expect(running()).toEqual(['wiki'])
  core.host.change(spec, { restarts: 5 })
  core.rounds().moved()
  await until('it is stalled', async () => (await core.server('wiki'))?.phase === 'stalled')
  expect((await core.server('wiki'))?.reason).toBe(
    'crash loop: 5 times within 5m, last because it ended and the host started it again',
  )
  await core.rests()
  expect(running()).toEqual([])
})

test('(3) gives calls back when a proxy says for a while that the new generation no longer answers', async () => {
  core = await openCore()
  const settings = { 'manifests/gateway.yaml': 'bake: 60s\n' }
  await core.becomes(
    await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }), ...settings }),
  )
  await core.rests()
  const before = serving('wiki')
  const head = await core.publish({ [wiki]: imageServer('2') })
  await until('it bakes', async () => (await core.server('wiki'))?.reason.startsWith('bakes until'))
  core.proxy().seen = (generation) => (generation === before ? good() : bad('HTTP 500', 'no key'))
  core.proxy().speakUp()
  expect(await core.becomes(head, 'degraded')).toMatchObject({
    servers: { wiki: { reason: 'rolled back: it no longer answers: HTTP 500' } },
  })
  expect((await core.server('wiki'))?.log).toMatch(/\nits last answer: no key$/)
  expect(serving('wiki')).toBe(before)
})

test('bakes once more when it was killed while it baked, then lets go of what served before', async () => {
  core = await openCore()
  const settings = { 'manifests/gateway.yaml': 'bake: 3s\n' }
  await core.becomes(
    await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }), ...settings }),
  )
  await core.rests()
  const head = await core.publish({ [wiki]: imageServer('2') })
  await until('it bakes', async () => (await core.server('wiki'))?.reason.startsWith('bakes until'))
  await core.restart()
  await until('it bakes again', async () => (await core.server('wiki'))?.reason.startsWith('bakes until'))
  expect(running()).toEqual(['wiki', 'wiki'])
  await core.becomes(head, 'applied')
  await core.rests()
  expect(running()).toEqual(['wiki'])
  expect(core.host.generations).toHaveLength(2)
})

test('(19) names what goes back and forth, and stops following it', async () => {
  core = await openCore()
  core.secrets.set('WIKI_KEY', 'a')
  const manifest = imageServer('1', 'secrets: [WIKI_KEY]\n')
  const head = await core.publish({ [wiki]: manifest, [grants]: permissions({ ann: ['wiki'] }) })
  await core.becomes(head)
  await core.rests()
  for (const value of ['b', 'a', 'b']) {
    core.secrets.set('WIKI_KEY', value)
    await core.passed()
    await core.rests()
  }
  core.secrets.set('WIKI_KEY', 'a')
  await core.passed()
  await core.rests()
  expect(await core.server('wiki')).toMatchObject({
    phase: 'stalled',
    reason: 'reconcile loop: the value of a secret changed, back and forth, 4 times within 10m for one commit',
  })
  expect(running()).toEqual(['wiki'])
})

test('(14) brings back at once what was removed a while ago, without a build', async () => {
  core = await openCore()
  const settings = { 'manifests/gateway.yaml': 'prune: { grace: 1h }\n' }
  const all = { [wiki]: imageServer('1'), [grants]: permissions({ ann: ['*'] }), ...settings }
  await core.becomes(await core.publish(all))
  await core.rests()
  await core.becomes(await core.publish({ [wiki]: null }))
  await core.rests()
  expect(core.host.generations).toMatchObject([{ state: 'exited' }])
  expect(core.host.did).not.toContain('forget wiki')
  const began = Date.now()
  await core.becomes(await core.publish({ [wiki]: imageServer('1') }))
  expect(Date.now() - began).toBeLessThan(5_000)
  expect(granted()).toEqual({ ann: ['wiki'] })
  expect(core.host.did.filter((verb) => verb.startsWith('build') || verb.startsWith('remove'))).toEqual([])
})

test('drains a server that is removed, then removes it', async () => {
  core = await openCore()
  await core.becomes(await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['*'] }) }))
  await core.rests()
  let calls = 1
  core.proxy().seen = () => ({ calls, sessions: 0 })
  core.proxy().speakUp()
  await core.publish({ [wiki]: null })
  await until('it drains', () => core.table().draining.length === 1)
  expect(core.table().servers).toEqual({})
  expect(granted()).toEqual({ ann: [] })
  await core.passed()
  expect(running()).toEqual(['wiki'])
  calls = 0
  core.proxy().speakUp()
  await until('it is gone', () => core.host.generations.length === 0)
  await core.rests()
  expect(core.table().draining).toEqual([])
  expect(core.host.did.at(-1)).toBe('forget wiki')
})

test('drains what ran here when its server moves elsewhere, and is then done', async () => {
  core = await openCore()
  await core.becomes(await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['*'] }) }))
  await core.rests()
  let calls = 1
  core.proxy().seen = () => ({ calls, sessions: 0 })
  core.proxy().speakUp()
  await core.publish({ [wiki]: 'description: a server\nurl: http://wiki.example:3000/mcp\n' })
  await until('calls go elsewhere', () => core.table().servers.wiki?.upstream === 'http://wiki.example:3000')
  await core.passed()
  expect(core.table().draining).toHaveLength(1)
  expect(running()).toEqual(['wiki'])
  calls = 0
  core.proxy().speakUp()
  await until('it is stopped', () => running().length === 0)
  await core.rests()
  const done = core.host.did.length
  for (let pass = 0; pass < 3; pass++) await core.passed()
  expect(core.host.did).toHaveLength(done)
})

test('tells commits that no pass looked at superseded', async () => {
  core = await openCore()
  const first = await core.publish({ [grants]: permissions({ ann: ['*'] }) })
  await core.becomes(first)
  const skipped = await core.repository.commit({ 'README.md': '1' })
  const head = await core.publish({ 'README.md': '2' })
  await core.becomes(head)
  expect(
    core
      .journal()
      .history(9)
      .map(({ commit, phase }) => [commit, phase]),
  ).toEqual([
    [head, 'applied'],
    [skipped, 'superseded'],
    [first, 'applied'],
  ])
})

test('(12) makes few passes of a burst of pushes, and tells all but the last superseded', async () => {
  core = await openCore()
  await core.becomes(await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) }))
  await core.rests()
  const starts = did('start wiki')
  const hangs = Promise.withResolvers<void>()
  const reached = Promise.withResolvers<void>()
  core.host.fault = (verb) => {
    if (verb !== 'start') return
    reached.resolve()
    return hangs.promise
  }
  const { git, push } = core.repository
  const pushed = [await core.publish({ [wiki]: imageServer('2') })]
  await reached.promise
  try {
    for (let more = 1; more < 49; more++)
      pushed.push(await git('commit-tree', 'HEAD^{tree}', '-p', pushed.at(-1) ?? '', '-m', `Push ${more}`))
    await git('reset', '--quiet', '--soft', pushed.at(-1) ?? '')
    await push()
    core.rounds().ask()
    const last = await core.publish({ [wiki]: imageServer('3') })
    await until('the last one is seen', () => core.journal().commit(last))
    await core.passed()
  } finally {
    core.host.fault = () => {}
    hangs.resolve()
  }
  const head = await git('rev-parse', 'HEAD')
  await core.becomes(head, 'applied')
  const phases = new Map(
    core
      .journal()
      .history(100)
      .map(({ commit, phase }) => [commit, phase]),
  )
  expect(pushed.map((commit) => phases.get(commit))).toEqual(pushed.map(() => 'superseded'))
  expect(did('start wiki') - starts).toBeLessThanOrEqual(2)
})

test('(13) ends a wait for readiness at once when a fix comes, and the fix serves', async () => {
  core = await openCore()
  await core.becomes(await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) }))
  await core.rests()
  const before = serving('wiki')
  core.proxy().seen = (generation) => (generation === before ? good() : bad('not yet'))
  const stuck = await core.publish({ [wiki]: imageServer('2').replace('start: 5s', 'start: 10m') })
  await until('it waits', async () => (await core.server('wiki'))?.reason === 'waiting until it is ready')
  const waits = core.table().starting[0]?.generation
  core.proxy().seen = (generation) => (generation === waits ? bad('not yet') : good())
  const fix = await core.publish({ [wiki]: imageServer('3') })
  await until('the fix is seen', () => core.journal().commit(fix))
  await until('the wait has ended', () => core.table().starting.every(({ generation }) => generation !== waits), 1_000)
  await core.becomes(fix, 'applied')
  expect((await core.becomes(stuck)).phase).toBe('superseded')
  expect([before, waits]).not.toContain(serving('wiki'))
  await core.rests()
  expect(running()).toEqual(['wiki'])
})

test('follows a branch that goes back, and remembers so after a restart', async () => {
  core = await openCore()
  const first = await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) })
  await core.becomes(first)
  const second = await core.publish({ [wiki]: imageServer('2') })
  await core.becomes(second)
  await core.rests()
  await core.repository.git('reset', '--quiet', '--hard', first)
  await core.repository.push({ force: true })
  core.rounds().ask()
  await until('the first is current', () => core.rounds().chronicle.current?.commit === first)
  await core.becomes(first, 'applied')
  await core.restart()
  await core.passed()
  expect(
    core
      .journal()
      .history(9)
      .map(({ commit }) => commit),
  ).toEqual([first, second])
  expect(await core.steward().status('public')).toMatchObject({
    applied: first,
    attempted: { commit: first, phase: 'applied' },
  })
})

test('finds what runs when it has lost its state, and goes on above the proxies', async () => {
  const host = createMemoryHost()
  const first = await openCore({ host })
  await first.becomes(await first.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) }))
  await first.end()
  core = await openCore({ host })
  const head = await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) })
  expect(await core.becomes(head)).toMatchObject({ phase: 'applied' })
  expect(host.did).toEqual(['start wiki'])
  expect(granted()).toEqual({ ann: ['wiki'] })
  await first[Symbol.asyncDispose]()
})

test('tells that the host is down, changes nothing, and goes on when it answers again', async () => {
  core = await openCore()
  await core.becomes(await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) }))
  await core.rests()
  core.host.fault = () => {
    throw new HostDown('the engine does not answer')
  }
  const head = await core.publish({ [wiki]: imageServer('2') })
  await until('people are told', () => core.rounds().host.reason === 'the engine does not answer')
  expect(core.steward().ready()).toEqual({ ok: false, reasons: ['host: the engine does not answer'] })
  expect(core.table().servers.wiki?.upstream).toBeDefined()
  core.host.fault = () => {}
  expect(await core.becomes(head)).toMatchObject({ phase: 'applied' })
  expect(core.steward().ready()).toEqual({ ok: true, reasons: [] })
})

test('runs nothing once it was taken down, and says so', async () => {
  core = await openCore()
  await core.becomes(await core.publish({ [wiki]: imageServer('1'), [grants]: permissions({ ann: ['wiki'] }) }))
  const signal = AbortSignal.timeout(10_000)
  await core.steward().down({ volumes: false }, signal)
  const reason = 'taken down; the next start of the controller runs it again'
  expect(await core.steward().status('public')).toMatchObject({ host: { ok: false, reason }, servers: [], proxies: [] })
  expect(core.steward().ready().reasons).toContain(`host: ${reason}`)
  await expect(core.steward().reconcile(signal)).rejects.toThrow(reason)
  await core.steward().down({ volumes: true }, signal)
  expect(did('down')).toBe(2)
})

describe('what must be approved', () => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']
  const file = (name: string) => `manifests/servers/${name}.yaml`
  const all = Object.fromEntries(names.map((name) => [file(name), imageServer('1')]))
  const gone = Object.fromEntries(names.slice(0, 5).map((name) => [file(name), null]))
  const settings = { 'manifests/gateway.yaml': 'bake: 0s\nprune: { grace: 0s }\n' }

  async function removeFive() {
    core = await openCore()
    await core.becomes(await core.publish({ ...all, ...settings, [grants]: permissions({ ann: ['*'] }) }))
    const status = await core.becomes(await core.publish(gone))
    expect(status).toMatchObject({ phase: 'held', held: [{ what: 'removing 5 of 10 servers: a, b, c, d, e' }] })
    await core.rests()
    expect(running().sort()).toEqual(names)
    expect(granted().ann).toHaveLength(10)
    return { plan: status.held![0]!.plan, commit: status.commit }
  }

  test('(14) removes nothing of five servers until that is approved on the machine', async () => {
    const { plan, commit } = await removeFive()
    await core.restart()
    await core.passed()
    expect(running()).toHaveLength(10)
    expect(() => core.steward().approve('00000000')).toThrow(`nothing is held that is called 00000000 (held: ${plan} (`)
    core.steward().approve(plan)
    await core.becomes(commit, 'applied')
    await core.rests()
    expect(running().sort()).toEqual(names.slice(5))
    expect(granted().ann).toHaveLength(5)
  })

  test('(24) refuses a plan that was shown of an earlier commit, in one line that names the one to approve', async () => {
    const { plan: stale } = await removeFive()
    const other = Object.fromEntries(names.map((name, at) => [file(name), at < 4 ? null : imageServer('1')]))
    const status = await core.becomes(await core.publish({ ...other, [file('j')]: null }), 'held')
    const [held] = status.held ?? []
    expect(held).toMatchObject({ what: 'removing 5 of 10 servers: a, b, c, d, j' })
    expect(() => core.steward().approve(stale)).toThrow(
      new Refused(`nothing is held that is called ${stale} (held: ${held?.plan} (${held?.what}))`),
    )
    await core.passed()
    expect(running()).toHaveLength(10)
    core.steward().approve(held?.plan ?? '')
    await core.becomes(status.commit, 'applied')
    await core.rests()
    expect(running().sort()).toEqual(['e', 'f', 'g', 'h', 'i'])
  })

  test('(14) removes them once a later commit says so in a trailer', async () => {
    const { plan } = await removeFive()
    await core.repository.commit({ 'README.md': 'x' }, `Remove five\n\nGateway-Approve: ${plan}`)
    await core.repository.push()
    core.rounds().ask()
    await core.becomes(await core.repository.git('rev-parse', 'HEAD'), 'applied')
    await core.rests()
    expect(running().sort()).toEqual(names.slice(5))
  })

  test('(14) removes nothing for a commit that has lost its manifests', async () => {
    core = await openCore()
    await core.becomes(await core.publish({ ...all, ...settings, [grants]: permissions({ ann: ['*'] }) }))
    const nothing = Object.fromEntries(
      [...names.map(file), grants, 'manifests/gateway.yaml'].map((path) => [path, null]),
    )
    const status = await core.becomes(await core.publish({ ...nothing, 'README.md': 'empty' }))
    expect(status.phase).toBe('rejected')
    await core.rests()
    expect(running()).toHaveLength(10)
    expect(granted().ann).toHaveLength(10)
  })

  test('(23) rejects a commit that takes the last owner away, whole', async () => {
    core = await openCore()
    const owned = `${permissions({ ann: ['*'], bob: ['wiki'] })}    owner: true\n`
    await core.becomes(await core.publish({ [wiki]: imageServer('1'), [grants]: owned }))
    const status = await core.becomes(await core.publish({ [grants]: permissions({ ann: ['*'] }) }))
    expect(status).toMatchObject({
      phase: 'rejected',
      errors: [
        'manifests/permissions.yaml agents: the last owner would be gone: keep "owner: true" for bob, or give it to another agent',
      ],
    })
    expect(granted()).toEqual({ ann: ['wiki'], bob: ['wiki'] })
    await core.becomes(await core.publish({ [grants]: owned.replace('ann', 'eve') }), 'applied')
  })
})
