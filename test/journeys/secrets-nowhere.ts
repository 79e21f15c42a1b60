import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { Gateway } from '../support/gateway.ts'
import { leaksIn, type Values } from '../support/leaks.ts'
import { gets, type SecretScene, server } from '../support/secret-scene.ts'
import { type Place, placesOfState } from '../support/state-search.ts'
import { until } from '../support/until.ts'

const minutes = 60_000

interface Search {
  /** The scene, once there is one. */
  readonly scene: () => SecretScene
  /** Image that servers are built on. */
  readonly base: string
  /** What the host itself keeps of the instance: labels, logs, images. */
  readonly places: (scene: SecretScene) => Promise<readonly Place[]>
}

/** Looks for every value wherever people, agents, the forge or the machine might see one. The scene is not whole afterwards. */
export function nowhereElse({ scene, base, places: placesOfHost }: Search): void {
  const gateway = () => scene().gateway
  const one = async (name: string) => (await gateway().status()).servers.find((each) => each.name === name)

  describe('are found nowhere else', () => {
    beforeAll(async () => {
      const { stage, site } = scene()
      await stage.work.commit(server('one', base, '[ALPHA, BETA]'))
      await stage.push('more')
      const asked = { title: 'More', head: 'more', base: 'main' }
      await stage.alice.ask('POST', `${stage.at}/pulls`, asked, 201)
      const said = () => site.repo(stage.repository).comments.some(({ body }) => body.includes('gets the secret BETA'))
      await until('the forge shows the plan', said, minutes)
      await stage.work.git('reset', '--quiet', '--hard', 'HEAD~1')
      await until('people were told', () => scene().notices.some((notice) => notice.includes('sour')), minutes)
      await until('what fails has failed', async () => (await one('sour'))?.phase === 'stalled', minutes)
    }, 2 * minutes)

    /** What nobody prints of themselves. */
    const quiet = (): Values =>
      Object.fromEntries(Object.entries(scene().all).filter(([name]) => !/^(LOUD|SOUR)/.test(name)))
    test('although they would be found in every form', () => {
      const { ALPHA = '', GATEWAY_GIT_TOKEN: token = '' } = scene().all
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
      const places = await faces(gateway())
      expect(places.map(({ content }) => content).join()).toContain('initialize answered HTTP 200 with error -32000')
      none(places, scene().all)
    })

    test('(20) in what operators may read, but for what servers print themselves', { timeout: minutes }, async () => {
      const places = await faces(gateway(), scene().all.GATEWAY_OPERATOR_TOKEN)
      none(places, quiet())
      expect(places.find(({ where }) => where === '/status')?.content).toContain('"access":{"alpha"')
      const explained = places.find(({ where }) => where === '/explain/both')
      expect(explained?.content).toContain('the value of a secret changed')
      expect((await one('sour'))?.log).toContain(`its last answer: refused: ${scene().values.SOUR}`)
      expect(await gateway().ask('GET', '/logs/loud')).toEqual({
        log: expect.stringContaining(`my key is ${scene().values.LOUD}`),
      })
    })

    test('(20) in the controller’s log at its most talkative', () => {
      expect(gateway().output()).toContain('"level":30')
      none([{ where: 'log', content: gateway().output() }], scene().all)
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
      for (const verb of verbs) places.push({ where: verb.join(' '), content: await scene().cli(...verb) })
      expect(places.filter(({ content }) => content === '')).toEqual([])
      expect(String(places.at(-1)?.content)).toContain('is not JSON')
      none(places, scene().all)
    })

    test('(20) at the forge, and in what people are told', async () => {
      const { site, stage, notices } = scene()
      expect(site.deliveries.map(({ status }) => status)).toContain(202)
      expect(site.deliveries.filter(({ status }) => status >= 300)).toEqual([])
      const { comments, statuses } = site.repo(stage.repository)
      const told = JSON.stringify(
        [comments, statuses, site.requests].map((list) => list.map(({ user, ...row }) => row)),
      )
      none([{ where: 'forge', content: told }], scene().all)
      const { HOOK, NTFY, ...others } = scene().all
      expect(notices.length).toBeGreaterThan(2)
      none([{ where: 'notices', content: notices.join('\n') }], others)
    })

    test('(20) in argument lists, while it fetches too', () => {
      const seen = [...scene().argv]
      expect(seen.filter((list) => /git.* fetch|ls-remote|remote-http/.test(list))).not.toEqual([])
      none(
        seen.map((list) => ({ where: list, content: list })),
        scene().all,
      )
    })

    test('(20) in the state folder, but where a server is started from', async () => {
      const places = await placesOfState(gateway().state)
      const own = /^units\/|journal/
      none(
        places.filter(({ where }) => !own.test(where)),
        scene().all,
      )
      none(
        places.filter(({ where }) => own.test(where)).map((place) => ({ ...place, content: unlisted(place) })),
        quiet(),
      )
      for (const file of places.flatMap(({ where }) => (/^journal.db$|unit.json$|\.key$/.test(where) ? [where] : [])))
        expect([file, (await stat(join(gateway().state, file))).mode & 0o777]).toEqual([file, 0o600])

      /** Without what this very server lists: it is started with that again and again. */
      function unlisted({ where, content }: Place): string {
        const name = /^units\/[^/]+-([a-z]+)-[0-9a-f]{8}\/unit\.json$/.exec(where)?.[1] ?? ''
        const listed = Object.values(gets[name] ?? {})
        const values = Object.entries(scene().all).filter(([secret]) => listed.includes(secret.split(' ')[0] ?? ''))
        return values.reduce((text, [, value]) => text.replaceAll(JSON.stringify(value), '""'), String(content))
      }
    })

    test('(20) on the host', { timeout: 3 * minutes }, async () => {
      const places = await placesOfHost(scene())
      none(
        places.filter(({ where }) => !where.includes('loud')),
        scene().all,
      )
      none(places, quiet())
    })

    test('(20) in why a token is refused', { timeout: minutes }, async () => {
      const { tokens } = scene().site.state
      const revoke = (name: string) => {
        const at = tokens.findIndex(({ text }) => text === scene().all[name])
        tokens.splice(at, 1)
      }
      revoke('GATEWAY_FORGE_TOKEN')
      await scene().publish({ 'README.md': 'words that the forge is told nothing of' })
      const forge = await until('the forge refuses', async () => {
        const { forge: now } = await gateway().status()
        return now?.ok === false && now
      })
      revoke('GATEWAY_GIT_TOKEN')
      const source = await until('the repository refuses', async () => {
        const { source: now } = await gateway().status()
        return !now.ok && now
      })
      expect(source.reason).toContain('the server refuses GATEWAY_GIT_TOKEN')
      expect(forge.reason).toContain('GATEWAY_FORGE_TOKEN')
      none([...(await faces(gateway())), { where: 'log', content: gateway().output() }], scene().all)
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
