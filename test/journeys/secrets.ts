import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Load, startLoad } from '../support/clients.ts'
import type { Gateway, Runtime } from '../support/gateway.ts'
import { leaksIn, randomSecret, type Values } from '../support/leaks.ts'
import { type Given, gets, openSecretScene, type SecretScene, server } from '../support/secret-scene.ts'
import { callSmall } from '../support/small-server.ts'
import { type Place, placesOfState } from '../support/state-search.ts'
import { until } from '../support/until.ts'

const minutes = 60_000

/** What differs from host to host. */
export interface Estate {
  /** Image that servers are built on. */
  readonly base: string
  readonly given: Given
  /** What runs, by identity: `<server or role> <id>`, sorted. */
  readonly units: (gateway: Gateway) => Promise<readonly string[]>
  /** What the host itself keeps of the instance: labels, logs, images. */
  readonly places: (scene: SecretScene) => Promise<readonly Place[]>
}

/** Secrets from the file on the machine to the servers that list them, and nowhere else, told once for every host. */
export function secretsJourney(runtime: Runtime, { base, given, units: unitsOf, places: placesOfHost }: Estate): void {
  describe('secrets', () => {
    let scene: SecretScene
    let gateway: Gateway

    beforeAll(async () => {
      scene = await openSecretScene(runtime, base, given)
      gateway = scene.gateway
    }, 4 * minutes)
    afterAll(() => scene?.[Symbol.asyncDispose](), 2 * minutes)

    const units = () => unitsOf(gateway)
    const call = (name: string, tool: string) => callSmall(`${gateway.endpoint}/mcp/${name}`, scene.token, tool)
    const one = async (name: string) => (await gateway.status()).servers.find((each) => each.name === name)
    const waits = (name: string, reason: string) =>
      until(reason, async () => {
        const now = await one(name)
        return now?.phase === 'waiting' && now.reason === reason
      })
    const variables = async (name: string) => JSON.parse(await call(name, 'variables'))

    /** Calls all that serves, until told to stop. */
    function load(): Load {
      const names = ['both', 'one', 'none', 'loud']
      let next = 0
      return startLoad(async () => {
        const name = names[next++ % names.length] ?? ''
        expect(await call(name, 'word')).toBe(name)
        await new Promise((done) => setTimeout(done, 10))
      }, 3)
    }

    async function replaced(act: () => Promise<unknown>, expected: readonly string[]): Promise<void> {
      const before = await units()
      const calling = load()
      await act()
      await until(
        `${expected.join(', ')} was replaced`,
        async () => {
          const now = await units()
          const names = (list: readonly string[]) => list.map((unit) => unit.split(' ')[0])
          const gone = before.filter((unit) => !now.includes(unit))
          return JSON.stringify(names(gone)) === JSON.stringify(expected) && now.length === before.length
        },
        minutes,
      )
      const { calls, failures } = await calling.stop()
      expect(failures).toEqual([])
      expect(calls).toBeGreaterThan(20)
      expect((await units()).filter((unit) => before.includes(unit))).toHaveLength(before.length - expected.length)
    }

    test('(20) one that is missing holds its server alone, which says so', { timeout: 5 * minutes }, async () => {
      const became = await gateway.becomes(await scene.stage.work.git('rev-parse', 'HEAD'))
      expect(became.phase).toBe('degraded')
      expect(Object.keys(became.servers).sort()).toEqual(['late', 'lost', 'sour', 'unbuilt'])
      expect(became.servers.late).toEqual({
        phase: 'waiting',
        reason: `LATE is not in the secrets file ${scene.file}`,
      })
      for (const name of ['both', 'one', 'none', 'loud']) expect(await call(name, 'word')).toBe(name)
    })

    test('(20) each server gets the names that it lists, and no others', async () => {
      for (const name of ['both', 'one', 'none', 'loud']) {
        const found: Record<string, string> = await variables(name)
        const listed = Object.entries(gets[name] ?? {}).map(([variable, secret]) => [variable, scene.values[secret]])
        expect(found).toMatchObject(Object.fromEntries(listed))
        for (const [variable = ''] of listed) delete found[variable]
        expect(leaksIn(name, JSON.stringify(found), scene.all)).toEqual([])
      }
    })

    test('(20) a server starts by itself when what it lacks appears', { timeout: minutes }, async () => {
      await scene.change({ LATE: randomSecret() })
      await until('it serves', async () => (await one('late'))?.phase === 'ready', minutes)
      expect(await variables('late')).toMatchObject({ LATE: scene.values.LATE })
    })

    test('(20) a rotation replaces the servers that use it, and no call fails', { timeout: 3 * minutes }, async () => {
      await replaced(() => scene.change({ BETA: randomSecret() }), ['both'])
      expect(await variables('both')).toMatchObject({ ALPHA: scene.values.ALPHA, KEY: scene.values.BETA })
      await replaced(() => scene.change({ ALPHA: randomSecret() }), ['both', 'one'])
      expect(await variables('both')).toMatchObject({ ALPHA: scene.values.ALPHA, KEY: scene.values.BETA })
      expect(await variables('one')).toMatchObject({ ALPHA: scene.values.ALPHA })
    })

    test('(20) while the file is gone, empty or broken all runs on as it is, and says why', {
      timeout: 2 * minutes,
    }, async () => {
      const { file } = scene
      const before = await units()
      const whole = await readFile(file)
      const calling = load()
      await rm(file)
      await waits('both', `${file}: is no longer there; what runs goes on with what it was given`)
      await writeFile(file, whole.subarray(0, whole.indexOf('\n') - 1))
      await waits('both', `${file}:1: the quote of ALPHA is never closed`)
      expect(await one('none')).toMatchObject({ phase: 'ready' })
      await writeFile(file, '')
      await waits('one', `ALPHA is not in the secrets file ${file}`)
      await writeFile(`${file}.new`, whole)
      await rename(`${file}.new`, file)
      await until('all is well again', async () => (await one('both'))?.phase === 'ready')
      expect((await calling.stop()).failures).toEqual([])
      expect(await units()).toEqual(before)
    })

    test('a name of the gateway’s own is refused', { timeout: minutes }, async () => {
      const wrong = await scene.publish({
        ...server('both', base, '[GATEWAY_GIT_TOKEN]'),
        ...server('none', base, '[{ GATEWAY_GIT_TOKEN: ALPHA }]'),
        ...server('one', base, '[{ KEY: GATEWAY_GIT_TOKEN }]'),
      })
      const words = 'names that begin with GATEWAY_ are the gateway’s own: GATEWAY_GIT_TOKEN'
      const { phase, errors } = await gateway.becomes(wrong)
      expect([phase, errors]).toEqual([
        'rejected',
        ['both', 'none', 'one'].map((name) => expect.stringMatching(new RegExp(`servers/${name}.yaml:.*${words}`))),
      ])
      await scene.publish(Object.assign({}, ...['both', 'none', 'one'].map((name) => server(name, base))))
    })

    describe('are found nowhere else', () => {
      beforeAll(async () => {
        const { stage, site } = scene
        await stage.work.commit(server('one', base, '[ALPHA, BETA]'))
        await stage.push('more')
        const asked = { title: 'More', head: 'more', base: 'main' }
        await stage.alice.ask('POST', `${stage.at}/pulls`, asked, 201)
        const said = () =>
          site.repo(stage.repository).comments.some(({ body }) => body.includes('gets the secret BETA'))
        await until('the forge shows the plan', said, minutes)
        await stage.work.git('reset', '--quiet', '--hard', 'HEAD~1')
        await until('people were told', () => scene.notices.some((notice) => notice.includes('sour')), minutes)
        await until('what fails has failed', async () => (await one('sour'))?.phase === 'stalled', minutes)
      }, 2 * minutes)

      /** What nobody prints of themselves. */
      const quiet = (): Values =>
        Object.fromEntries(Object.entries(scene.all).filter(([name]) => !/^(LOUD|SOUR)/.test(name)))
      test('although they would be found in every form', () => {
        const { ALPHA = '', GATEWAY_GIT_TOKEN: token = '' } = scene.all
        const forms = [
          ...[ALPHA, JSON.stringify({ ALPHA }), encodeURIComponent(ALPHA), `${new URLSearchParams({ ALPHA })}`],
          ...['', 'x', 'xx', 'x-access-token:'].map((text) => Buffer.from(`${text}${ALPHA}\n`).toString('base64')),
          ...[Buffer.from(ALPHA).toString('hex'), Buffer.from(`?>${ALPHA}`).toString('base64url')],
        ]
        expect(forms.filter((form) => leaksIn('', `before ${form} after`, { ALPHA }).length === 0)).toEqual([])
        expect(leaksIn('', Buffer.from(`x-access-token:${token}`).toString('base64'), { token })).not.toEqual([])
      })

      const none = (places: readonly Place[], values: Values) =>
        expect(places.flatMap(({ where, content }) => leaksIn(where, content, values))).toEqual([])

      test('(20) in what everybody may read', { timeout: minutes }, async () => {
        const places = await faces(gateway)
        expect(places.map(({ content }) => content).join()).toContain('initialize answered HTTP 200 with error -32000')
        none(places, scene.all)
      })

      test('(20) in what operators may read, but for what servers print themselves', { timeout: minutes }, async () => {
        const places = await faces(gateway, scene.all.GATEWAY_OPERATOR_TOKEN)
        none(places, quiet())
        expect(places.find(({ where }) => where === '/status')?.content).toContain('"access":{"alpha"')
        const explained = places.find(({ where }) => where === '/explain/both')
        expect(explained?.content).toContain('the value of a secret changed')
        expect((await one('sour'))?.log).toContain(`its last answer: refused: ${scene.values.SOUR}`)
        expect(await gateway.ask('GET', '/logs/loud')).toEqual({
          log: expect.stringContaining(`my key is ${scene.values.LOUD}`),
        })
      })

      test('(20) in the controller’s log at its most talkative', () => {
        expect(gateway.output()).toContain('"level":30')
        none([{ where: 'log', content: gateway.output() }], scene.all)
      })

      test('(20) in what the CLI prints', { timeout: 2 * minutes }, async () => {
        const verbs = [
          ['plan'],
          ['plan', '--json'],
          ['plan', '--commit', 'HEAD', '--base', 'HEAD~2', '--json'],
          ['explain', 'both'],
          ['explain', 'alpha', '--json'],
          ['status'],
          ['doctor'],
          ['doctor', '--json'],
          ['logs', 'unbuilt', '--build'],
        ]
        const places: Place[] = []
        for (const verb of verbs) places.push({ where: verb.join(' '), content: await scene.cli(...verb) })
        expect(places.filter(({ content }) => content === '')).toEqual([])
        expect(String(places.at(-1)?.content)).toContain('is not JSON')
        none(places, scene.all)
      })

      test('(20) at the forge, and in what people are told', async () => {
        const { site, stage, notices } = scene
        expect(site.deliveries.map(({ status }) => status)).toContain(202)
        expect(site.deliveries.filter(({ status }) => status >= 300)).toEqual([])
        const { comments, statuses } = site.repo(stage.repository)
        const told = JSON.stringify(
          [comments, statuses, site.requests].map((list) => list.map(({ user, ...row }) => row)),
        )
        none([{ where: 'forge', content: told }], scene.all)
        const { HOOK, NTFY, ...others } = scene.all
        expect(notices.length).toBeGreaterThan(2)
        none([{ where: 'notices', content: notices.join('\n') }], others)
      })

      test('(20) in argument lists, while it fetches too', () => {
        const seen = [...scene.argv]
        expect(seen.filter((list) => /git.* fetch|ls-remote|remote-http/.test(list))).not.toEqual([])
        none(
          seen.map((list) => ({ where: list, content: list })),
          scene.all,
        )
      })

      test('(20) in the state folder, but where a server is started from', async () => {
        const places = await placesOfState(gateway.state)
        const own = /^units\/|journal/
        none(
          places.filter(({ where }) => !own.test(where)),
          scene.all,
        )
        none(
          places.filter(({ where }) => own.test(where)).map((place) => ({ ...place, content: unlisted(place) })),
          quiet(),
        )
        for (const file of places.flatMap(({ where }) => (/^journal.db$|unit.json$|\.key$/.test(where) ? [where] : [])))
          expect([file, (await stat(join(gateway.state, file))).mode & 0o777]).toEqual([file, 0o600])

        /** Without what this very server lists: it is started with that again and again. */
        function unlisted({ where, content }: Place): string {
          const name = /^units\/[^/]+-([a-z]+)-[0-9a-f]{8}\/unit\.json$/.exec(where)?.[1] ?? ''
          const listed = Object.values(gets[name] ?? {})
          const values = Object.entries(scene.all).filter(([secret]) => listed.includes(secret.split(' ')[0] ?? ''))
          return values.reduce((text, [, value]) => text.replaceAll(JSON.stringify(value), '""'), String(content))
        }
      })

      test('(20) on the host', { timeout: 3 * minutes }, async () => {
        const places = await placesOfHost(scene)
        none(
          places.filter(({ where }) => !where.includes('loud')),
          scene.all,
        )
        none(places, quiet())
      })

      test('(20) in why a token is refused', { timeout: minutes }, async () => {
        const { tokens } = scene.site.state
        const revoke = (name: string) => {
          const at = tokens.findIndex(({ text }) => text === scene.all[name])
          tokens.splice(at, 1)
        }
        revoke('GATEWAY_FORGE_TOKEN')
        await scene.publish({ 'README.md': 'words that the forge is told nothing of' })
        const forge = await until('the forge refuses', async () => {
          const { forge: now } = await gateway.status()
          return now?.ok === false && now
        })
        revoke('GATEWAY_GIT_TOKEN')
        const source = await until('the repository refuses', async () => {
          const { source: now } = await gateway.status()
          return !now.ok && now
        })
        expect(source.reason).toContain('the server refuses GATEWAY_GIT_TOKEN')
        expect(forge.reason).toContain('GATEWAY_FORGE_TOKEN')
        none([...(await faces(gateway)), { where: 'log', content: gateway.output() }], scene.all)
      })
    })
  })
}

/** Whatever has an address, as somebody with this token sees it. */
async function faces(gateway: Gateway, token?: string): Promise<readonly Place[]> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const get = async (path: string): Promise<Place> => ({
    where: path,
    content: await (await fetch(`${gateway.face}${path}`, { headers, signal: AbortSignal.timeout(20_000) })).text(),
  })
  const { servers } = await gateway.status()
  const history = z
    .array(z.looseObject({ commit: z.string() }))
    .parse(await (await fetch(`${gateway.face}/history?limit=100`)).json())
  const paths = [
    ...['/', '/status', '/history?limit=100', '/metrics', '/healthz', '/readyz', '/explain/both', '/explain/alpha'],
    ...servers.flatMap(({ name }) => [`/status/${name}`]),
    ...history.map(({ commit }) => `/commits/${commit}`),
    ...['both', 'one', 'none', 'lost', 'gateway'].map((name) => `/logs/${name}?tail=10000`),
    '/logs/unbuilt?build=true',
  ]
  const places: Place[] = []
  for (const path of paths) places.push(await get(path))
  return [...places, { where: '/events', content: await firstEvent(`${gateway.face}/events`, headers) }]
}

async function firstEvent(url: string, headers: Readonly<Record<string, string>>): Promise<string> {
  const answer = await fetch(url, { headers, signal: AbortSignal.timeout(20_000) })
  const reader = answer.body?.getReader()
  const { value } = (await reader?.read()) ?? {}
  await reader?.cancel()
  return new TextDecoder().decode(value)
}
