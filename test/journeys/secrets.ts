import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Gateway } from '../support/gateway.ts'
import { leaksIn, randomSecret } from '../support/leaks.ts'
import { type Load, startLoad } from '../support/load.ts'
import { type Given, gets, openSecretScene, type SecretScene, server } from '../support/secret-scene.ts'
import type { Runtime } from '../support/setting.ts'
import { callSmall } from '../support/small-server.ts'
import type { Place } from '../support/state-search.ts'
import { until } from '../support/until.ts'
import { nowhereElse } from './secrets-nowhere.ts'

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
export function secretsJourney(runtime: Runtime, { base, given, units: unitsOf, places }: Estate): void {
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
        reason: `LATE is not in the secrets file ${scene.file} (GATEWAY_SECRETS)`,
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
      await waits('one', `ALPHA is not in the secrets file ${file} (GATEWAY_SECRETS)`)
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

    nowhereElse({ scene: () => scene, base, places })
  })
}
