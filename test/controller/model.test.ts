import { rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { aimAt } from '../../controller/aim.ts'
import { compile } from '../../controller/compile/compile.ts'
import { targetKey } from '../../controller/generation.ts'
import { generationKey, HostDown } from '../../controller/host.ts'
import { openCheckout } from '../../controller/source/checkout.ts'
import { type Core, imageServer, openCore, permissions } from '../support/core.ts'
import { machine } from '../support/make.ts'
import type { Verb } from '../support/memory-host.ts'

const steps = 18
/** Each server has images of its own, so that no two have the same generation. */
const images: Readonly<Record<string, string>> = { a: '0123', b: '4567', c: '89ab', d: 'cdef' }
const names = Object.keys(images)
const verbs: readonly Verb[] = ['observe', 'build', 'start', 'resume', 'stop', 'remove', 'forget']
const file = (name: string) => `manifests/servers/${name}.yaml`
const grants = 'manifests/permissions.yaml'

let core: Core
afterEach(() => core[Symbol.asyncDispose]())

/** Numbers from 0 to 1 that a seed determines (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A story of commits, kills and faults. What the repository says is known; what becomes of it meanwhile is not. */
class Story {
  readonly #random: () => number
  readonly #servers = new Set<string>()
  #crashes = 0

  constructor(seed: number) {
    this.#random = randomOf(seed)
  }

  async begin(): Promise<void> {
    const all = Object.fromEntries(names.map((name) => [file(name), this.#manifest(name)]))
    for (const name of names) this.#servers.add(name)
    await core.becomes(await core.publish({ ...all, [grants]: permissions({ ann: ['*'], bob: ['a'] }) }), 'applied')
  }

  async step(): Promise<void> {
    const acts = [
      this.#change,
      this.#change,
      this.#remove,
      this.#grant,
      this.#break,
      this.#kill,
      this.#crash,
      this.#fault,
      this.#lose,
      this.#damage,
      this.#rewrite,
    ]
    await (this.#pick(acts) ?? this.#change).call(this)
    if (this.#random() < 0.4) core.host.fault = () => {}
    await pause(this.#random() * 250)
  }

  /** Ends with a commit that has no errors, on a host without faults. */
  async end(): Promise<string> {
    core.host.fault = () => {}
    const mended = Object.fromEntries([...this.#servers].map((name) => [file(name), this.#manifest(name)]))
    return core.publish({ ...mended, [grants]: this.#permissions(), 'README.md': `${this.#random()}` })
  }

  #manifest(name: string): string {
    return imageServer(this.#pick([...(images[name] ?? '')]) ?? '')
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list[Math.floor(this.#random() * list.length)]
  }

  #permissions(): string {
    const some = [...this.#servers].filter(() => this.#random() < 0.5)
    return permissions({ ann: ['*'], bob: some, ...(this.#random() < 0.5 ? { eve: some.slice(0, 1) } : {}) })
  }

  async #change(): Promise<void> {
    const name = this.#pick(names) ?? 'a'
    this.#servers.add(name)
    await core.publish({ [file(name)]: this.#manifest(name) })
  }

  async #remove(): Promise<void> {
    const name = this.#pick([...this.#servers])
    if (name === undefined) return
    this.#servers.delete(name)
    await core.publish({ [file(name)]: null, [grants]: this.#permissions() })
  }

  async #grant(): Promise<void> {
    await core.publish({ [grants]: this.#permissions() })
  }

  async #break(): Promise<void> {
    const name = this.#pick([...this.#servers])
    if (name !== undefined) await core.publish({ [file(name)]: 'image: latest\n' })
  }

  async #kill(): Promise<void> {
    await core.restart()
  }

  /** Fewer than a crash loop has. */
  async #crash(): Promise<void> {
    const unit = this.#pick(core.host.generations.filter(({ state }) => state === 'running'))
    if (unit === undefined || ++this.#crashes > 3) return
    if (this.#random() < 0.5) core.host.crash(unit.spec, 1, 1)
    else core.host.generations = core.host.generations.filter((one) => one !== unit)
    core.rounds().moved()
  }

  /** The repository is away for a moment. */
  async #lose(): Promise<void> {
    const { bare } = core.repository
    await rename(bare, `${bare}-away`)
    core.rounds().ask()
    await pause(this.#random() * 250)
    await rename(`${bare}-away`, bare)
  }

  async #damage(): Promise<void> {
    const mirror = join(core.state, 'mirror.git')
    const part = this.#pick(['', 'objects', 'refs/gateway/head', 'HEAD', 'config']) ?? ''
    if (this.#random() < 0.5) await rm(join(mirror, part), { recursive: true, force: true })
    else await writeFile(join(mirror, part), 'nonsense').catch(() => {})
  }

  /** Another history with the same content at its end. */
  async #rewrite(): Promise<void> {
    await core.repository.git(
      'commit',
      '--quiet',
      '--amend',
      '--allow-empty',
      '--message',
      `Rewritten ${this.#random()}`,
    )
    await core.repository.push({ force: true })
    core.rounds().ask()
  }

  async #fault(): Promise<void> {
    const failing = this.#pick(verbs)
    core.host.fault = (verb) => {
      if (verb === failing && this.#random() < 0.7) throw new HostDown(`the host fails at ${verb}`)
    }
  }
}

/** What the commit asks for, found out by the test itself. */
async function asked(commit: string) {
  const compiled = await compile(await openCheckout(core.repository.bare, commit, { PATH: process.env.PATH ?? '' }))
  if (!compiled.ok) throw new Error('the last commit has errors')
  return aimAt(compiled.desired, machine)
}

test.for([1, 2, 3, 4, 5, 6])(
  'whatever happens, in the end all is as the head of the branch says: story %i',
  {
    timeout: 120_000,
  },
  async (seed) => {
    core = await openCore()
    const story = new Story(seed)
    await story.begin()
    for (let step = 0; step < steps; step++) await story.step()
    const head = await story.end()
    await core.becomes(head, 'applied')
    await core.rests()
    const { targets, agents } = await asked(head)
    const wanted = Object.values(targets).map((one) => targetKey(one))
    const running = core.host.generations.filter(({ state }) => state === 'running')
    expect(running.map(({ server, spec }) => generationKey(server, spec)).sort()).toEqual(wanted.sort())
    const { servers, starting, draining, agents: granted } = core.table()
    expect(
      Object.values(servers)
        .map(({ generation }) => generation)
        .sort(),
    ).toEqual(wanted.sort())
    expect(
      Object.values(servers)
        .map(({ upstream }) => upstream)
        .sort(),
    ).toEqual(running.map(({ upstream }) => upstream).sort())
    expect([starting, draining]).toEqual([[], []])
    const grantsOf = (all: Readonly<Record<string, { readonly grants: object }>>) =>
      Object.fromEntries(Object.entries(all).map(([name, { grants }]) => [name, Object.keys(grants).sort()]))
    expect(grantsOf(granted)).toEqual(grantsOf(agents))
  },
)
