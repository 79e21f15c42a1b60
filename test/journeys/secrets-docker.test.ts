import { z } from 'zod'
import { openEngine } from '../../controller/docker/docker.ts'
import { labelsOf, mark, prefix } from '../../controller/docker/labels.ts'
import { plainText } from '../../controller/docker/log.ts'
import { inspect, read } from '../support/engine.ts'
import { baseImage, suite } from '../support/machine.ts'
import { gets, type SecretScene } from '../support/secret-scene.ts'
import type { Place } from '../support/state-search.ts'
import { secretsJourney } from './secrets.ts'

const Container = z.looseObject({ Config: z.looseObject({ Env: z.array(z.string()) }) })
const Image = z.looseObject({ RootFS: z.looseObject({ Layers: z.array(z.string()) }) })
const Running = z.array(z.object({ Id: z.string(), Labels: z.record(z.string(), z.string()) }))
const Packed = z.array(z.object({ Layers: z.array(z.string()) }))

suite('on the Docker engine', ['docker', 'product', 'tools'], () => {
  secretsJourney('docker', {
    base: baseImage,
    given: 'variables',
    units: async ({ instance }) => {
      const filters = encodeURIComponent(JSON.stringify({ label: [`${prefix}instance=${instance}`] }))
      const running = await inspect(`/containers/json?filters=${filters}`, Running)
      return running.map(({ Id, Labels }) => `${mark(Labels, 'server') ?? mark(Labels, 'role')} ${Id}`).sort()
    },
    places: async (scene) => [...(await placesOfContainers(scene)), ...(await placesOfImages(scene.gateway.instance))],
  })
})

/** What the engine tells of them and what they print, but for the variables that a server lists. */
async function placesOfContainers({ gateway: { instance }, values }: SecretScene): Promise<readonly Place[]> {
  const signal = AbortSignal.timeout(60_000)
  const engine = openEngine()
  const ours = labelsOf({ instance })
  const places: Place[] = []
  for (const { Id, Config } of await engine.containers(ours, signal)) {
    const name = mark(Config.Labels, 'server') ?? mark(Config.Labels, 'role') ?? ''
    const { Config: more, ...facts } = await inspect(`/containers/${Id}/json`, Container)
    const listed = Object.keys(gets[name] ?? {})
    const Env = more.Env.filter((line) => !listed.includes(line.split('=')[0] ?? ''))
    places.push({ where: `${name} ${Id}`, content: JSON.stringify({ ...facts, Config: { ...more, Env } }) })
    const log = plainText(await read(`/containers/${Id}/logs?stdout=true&stderr=true`))
    places.push({ where: `log of ${name}`, content: log })
  }
  const networks = (await engine.networks(signal)).filter(({ Labels }) => mark(Labels, 'instance') === instance)
  const volumes = await Promise.all(
    (await engine.volumes(ours, signal)).map((name) => inspect(`/volumes/${name}`, z.unknown())),
  )
  const logs = places.map(({ content }) => content).join()
  if (!logs.includes(`my key is ${values.LOUD}`) || !logs.includes('"msg":"call"'))
    throw new Error('logs were not read')
  return [...places, { where: 'networks and volumes', content: JSON.stringify([networks, volumes]) }]
}

/** What was added to the base image for each, how it was made, and what the engine tells of it. */
async function placesOfImages(instance: string): Promise<readonly Place[]> {
  const images = await openEngine().images(labelsOf({ instance }), AbortSignal.timeout(60_000))
  const base = (await inspect(`/images/${baseImage}/json`, Image)).RootFS.Layers.length
  const places: Place[] = []
  for (const { Id, RepoTags } of images) {
    const [tag = Id] = RepoTags ?? []
    for (const about of ['json', 'history'])
      places.push({ where: `${about} of ${tag}`, content: await read(`/images/${Id}/${about}`) })
  }
  const servers = images
    .flatMap(({ RepoTags }) => RepoTags ?? [])
    .filter((tag) => !tag.startsWith(`${instance}/gateway:`))
  const entries = entriesOf(
    await read(`/images/get?${servers.map((tag) => `names=${encodeURIComponent(tag)}`).join('&')}`),
  )
  const packed = Packed.parse(JSON.parse(String(entries.get('manifest.json'))))
  const layers = new Set(packed.flatMap(({ Layers }) => Layers.slice(base)))
  const added = [...layers].map((where) => ({ where, content: entries.get(where) ?? '' }))
  if (!added.some(({ content }) => content.includes('process.env'))) throw new Error('no layer has the program')
  const settings = [...entries].filter(([name]) => name.endsWith('.json') || name === 'repositories')
  return [...places, ...added, ...settings.map(([where, content]) => ({ where, content }))]
}

/** Files of a tar by their paths. */
function entriesOf(tar: Buffer): ReadonlyMap<string, Buffer> {
  const entries = new Map<string, Buffer>()
  for (let at = 0; at < tar.length && tar[at] !== 0; ) {
    const field = (from: number, length: number) =>
      tar.toString('latin1', at + from, at + from + length).replace(/\0.*$/s, '')
    const size = Number.parseInt(field(124, 12), 8)
    entries.set(field(0, 100), tar.subarray(at + 512, at + 512 + size))
    at += 512 + Math.ceil(size / 512) * 512
  }
  return entries
}
