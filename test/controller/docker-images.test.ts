import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { basesOf, readCredentials, registryOf } from '../../controller/docker/credentials.ts'
import { openDockerHost, openEngine } from '../../controller/docker/docker.ts'
import { labelsOf } from '../../controller/docker/labels.ts'
import { packTar } from '../../controller/docker/tar.ts'
import { generationKey } from '../../controller/host.ts'
import { createKeeper, DiskPressure, floor, makeRoom } from '../../controller/room.ts'
import { buildInputOf } from '../support/build-input.ts'
import { type DockerFixture, openDockerFixture } from '../support/docker-fixture.ts'
import { post, push } from '../support/engine.ts'
import { baseImage, suite } from '../support/machine.ts'
import * as make from '../support/make.ts'
import { openRegistry, type Registry } from '../support/registry.ts'
import { generationOf, requestOf } from '../support/stage.ts'
import { witness } from '../support/witness.ts'

vi.setConfig({ testTimeout: 60_000 })

const signal = new AbortController().signal
const tarOf = ({ entries }: ReturnType<typeof buildInputOf>) => packTar(entries(signal))
const note = (text: string) => buildInputOf({ ...witness, 'note.txt': text })

suite('images on the engine', ['docker'], () => {
  const engine = openEngine()
  let fixture: DockerFixture
  beforeEach(async () => {
    fixture = await openDockerFixture()
  })
  afterEach(() => fixture.close())

  async function builds(): Promise<readonly string[]> {
    return [...(await fixture.host.observe(signal)).built].sort()
  }

  test('(22) are kept by count, by use and by wish, and nobody else’s are touched', async () => {
    const { host, instance } = fixture
    await host.prepare(() => {}, signal)
    await host.startEdge(signal)
    const all = ['used', 'wanted', 'old', '1', '2', '3'].map(note)
    for (const made of all.slice(0, 3)) await host.build(requestOf('witness', made), signal)
    await post(
      `/images/${instance}/witness:${note('old').input.hash.slice(0, 12)}/tag?repo=${instance}-mine&tag=kept`,
      {},
    )
    for (const made of all.slice(3)) await host.build(requestOf('witness', made), signal)
    const [used, wanted, old, ...newest] = all.map(({ input }) => generationKey('witness', input.hash))
    await host.start(generationOf(note('used')), signal)
    const foreign = `${instance}-foreign:kept`
    const nameless = buildInputOf({ Dockerfile: `FROM ${baseImage}\nENV TRACE=${instance}\n` })
    const tag = { dockerfile: 'Dockerfile', labels: {}, buildargs: {} }
    await engine.build(tarOf(nameless), { ...tag, t: foreign }, () => {}, signal)
    await host.collect({ most: 3, wanted: new Set([wanted ?? '']) }, signal)
    const left = await builds()
    expect(left).toEqual(expect.arrayContaining([used, wanted, ...newest]))
    expect(left).not.toContain(old)
    for (const kept of [foreign, `${instance}-mine:kept`]) {
      expect(await engine.image(kept, signal)).toBeDefined()
      await engine.removeImage(kept, signal)
    }
    expect(await engine.image(baseImage, signal)).toBeDefined()
    const { images = 0, cache = -1 } = await host.room(signal)
    expect(images).toBeGreaterThan(0)
    expect(cache).toBeGreaterThanOrEqual(0)
    expect(await host.free(signal)).toBeGreaterThan(0)
  })

  test('stay when a build that is wanted again was known in all its steps', async () => {
    const { host } = fixture
    for (const made of ['a', 'b', 'c', 'd'].map(note)) await host.build(requestOf('witness', made), signal)
    const first = note('a').input.hash
    await engine.removeImage(`${fixture.instance}/witness:${first.slice(0, 12)}`, signal)
    await host.build(requestOf('witness', note('a')), signal)
    await host.collect({ most: 1, wanted: new Set() }, signal)
    expect(await builds()).toEqual([generationKey('witness', first)])
  })

  describe('of a registry that wants a credential', () => {
    let registry: Registry
    let folder: string
    let ref: string
    beforeEach(async () => {
      registry = await openRegistry()
      folder = await mkdtemp(join(tmpdir(), 'gateway-registry-'))
      const { name, user, password } = registry
      const auth = Buffer.from(`${user}:${password}`).toString('base64')
      await writeFile(join(folder, 'config.json'), JSON.stringify({ auths: { [name]: { auth } } }))
      await writeFile(
        join(folder, 'wrong.json'),
        JSON.stringify({ auths: { [name]: { auth: Buffer.from('reader:wrong').toString('base64') } } }),
      )
      ref = `${name}/small:1`
      const small = buildInputOf({ Dockerfile: `FROM scratch\nCOPY note.txt /\n`, 'note.txt': fixture.instance })
      const options = { dockerfile: 'Dockerfile', labels: labelsOf({ instance: fixture.instance }), buildargs: {} }
      await engine.build(tarOf(small), { ...options, t: ref }, () => {}, signal)
      await push(ref, registry)
      await engine.removeImage(ref, signal)
    })
    afterEach(async () => {
      await engine.removeImage(ref, signal)
      await registry[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    })

    const open = (file?: string) =>
      openDockerHost(
        { ...fixture.options, ...(file === undefined ? {} : { registryAuth: join(folder, file) }) },
        signal,
      )

    test('are pulled with it, and not without or with a wrong one', async () => {
      const start = async (file?: string) => {
        const host = await open(file)
        const image = { kind: 'ref', ref } as const
        return host.start(generationOf(note('a'), { image, command: ['/none'] }), signal).catch(String)
      }
      await fixture.host.prepare(() => {}, signal)
      await fixture.host.startEdge(signal)
      const refused = await start()
      expect(refused).toContain(`cannot pull image ${ref}: `)
      const wrong = await start('wrong.json')
      expect(wrong).toContain(`cannot pull image ${ref}: `)
      expect(wrong).not.toContain(Buffer.from('reader:wrong').toString('base64'))
      expect(await engine.image(ref, signal)).toBeUndefined()
      await start('config.json')
      expect(await engine.image(ref, signal)).toBeDefined()
    })

    test('are what a build begins from', async () => {
      const made = buildInputOf({ Dockerfile: `FROM ${ref}\nCOPY more.txt /\n`, 'more.txt': 'more' })
      await expect(fixture.host.build(requestOf('based', made), signal)).rejects.toThrow('build of based failed')
      const host = await open('config.json')
      await host.build(requestOf('based', made), signal)
      expect((await host.observe(signal)).built).toContain(generationKey('based', made.input.hash))
    })
  })
})

describe('credentials for registries', () => {
  test.each([
    ['{', 'is not a config.json of docker'],
    ['{"credsStore":"keychain"}', 'names a program that keeps credentials'],
    ['{"credHelpers":{"registry.example":"x"}}', 'names a program that keeps credentials'],
    ['{"auths":{"registry.example":{"auth":"c2VjcmV0"}}}', 'auths["registry.example"] has neither'],
  ])('are refused in one line without their values: %s', async (text, words) => {
    const folder = await mkdtemp(join(tmpdir(), 'gateway-auth-'))
    const file = join(folder, 'config.json')
    await writeFile(file, text)
    const refused = await readCredentials(file).catch(String)
    expect(refused).toContain(`GATEWAY_REGISTRY_AUTH: ${file} ${words}`)
    expect(refused).not.toContain('secret')
    expect(String(refused).split('\n')).toHaveLength(1)
    await rm(folder, { recursive: true })
  })

  test('are found by the registry of an image', () => {
    const names = [
      'node:24',
      'library/node',
      'docker.io/node',
      'registry.example/a/b@sha256:0',
      'localhost/a',
      'host:5000/a',
    ]
    expect(names.map(registryOf)).toEqual([
      'docker.io',
      'docker.io',
      'docker.io',
      'registry.example',
      'localhost',
      'host:5000',
    ])
  })

  test('are wanted for what a Dockerfile begins from and copies from', () => {
    const text = [
      'ARG BASE=a/b',
      'FROM --platform=linux/amd64 registry.example/node:24 AS build',
      'from registry.example/other as second',
      'FROM $BASE',
      'FROM scratch',
      'COPY --from=build /a /a',
      'COPY --chown=1:1 --from=registry.example/tools:1 /a /a',
      'COPY --from=0 /a /a',
    ]
    expect(basesOf(text.join('\n'))).toEqual([
      'registry.example/node:24',
      'registry.example/other',
      'registry.example/tools:1',
    ])
  })
})

describe('room for a build', () => {
  /** A disk whose free bytes are these, one look after the other. */
  function disk(...free: readonly (number | undefined)[]) {
    const did: string[] = []
    const looks = [...free]
    return {
      did,
      free: async () => looks.shift(),
      room: async () => ({ images: 1, cache: 2 }),
      collect: async ({ most }: { readonly most: number }) => void did.push(`collect ${most}`),
    }
  }

  test('(22) is there, or not known: nothing is removed', async () => {
    for (const host of [disk(floor), disk(undefined)]) {
      await makeRoom(host, signal)
      expect(host.did).toEqual([])
    }
  })

  test('(22) is made of our own old builds first, and else the build is refused', async () => {
    const enough = disk(floor - 1, floor)
    await makeRoom(enough, signal)
    expect(enough.did).toEqual(['collect 1'])
    const short = disk(1e9, 1.2 * 2 ** 30)
    await expect(makeRoom(short, signal)).rejects.toThrow(
      new DiskPressure('disk pressure: 1.2 GB free, 2 GB needed for a build'),
    )
    const cached = { ...disk(1e9, 1e9), room: async () => ({ cache: 3 * 2 ** 30 }) }
    await expect(makeRoom(cached, signal)).rejects.toThrow(
      `needed for a build; the engine's build cache takes 3 GB, which "docker builder prune" frees`,
    )
  })

  test('(22) is told, with what our images and the build cache take', async () => {
    const host = disk(5)
    const keeper = createKeeper(host)
    await keeper.look(make.aim([]), signal)
    await keeper.look(make.aim([]), signal)
    expect(keeper.disk).toEqual({ free: 5, images: 1, cache: 2 })
    expect(host.did).toEqual(['collect 3'])
  })
})
