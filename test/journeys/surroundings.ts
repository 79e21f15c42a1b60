import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { everyExport } from '../servers/personal-exports.ts'
import { openMidapi } from '../support/midapi.ts'
import { startOutline } from '../support/outline.ts'
import { addressForContainers } from '../support/stack.ts'
import { openTcpWay } from '../support/tcp-way.ts'

/** What a server finds on its machine. */
export interface Surroundings {
  /** Its manifest as that machine's people have changed it. */
  readonly manifest?: (text: string) => string
  /** What the secrets file says. */
  readonly secrets?: Readonly<Record<string, string>>
  /** Folders that the operator offers, by the names that manifests have for them. */
  readonly mounts?: Readonly<Record<string, string>>
}

/** Makes them; they end with the stack. */
export type Surround = (opened: AsyncDisposableStack) => Promise<Surroundings>

const spell = {
  ...{ name: 'Lantern Moth', source: 'JRN', page: 7, level: 1, school: 'I' },
  time: [{ number: 1, unit: 'action' }],
  range: { type: 'point', distance: { type: 'feet', amount: 30 } },
  components: { v: true, s: true },
  duration: [{ type: 'timed', duration: { type: 'minute', amount: 10 } }],
  entries: ['A moth of light circles you and sheds dim light for {@dice 1d4} paces.'],
}

/** Other books than its own, as its manifest's comment says. */
export const around5etools: Surround = async (opened) => ({
  manifest: (text) => text.replace(/^# {3}(?=mounts|env)/gm, ''),
  mounts: { '5etools': await folderOf(opened, { 'data/spells/spells-jrn.json': JSON.stringify({ spell: [spell] }) }) },
})

export const aroundPersonal: Surround = async (opened) => ({
  mounts: { personal: await folderOf(opened, everyExport) },
})

/** A wiki with one document. */
export const aroundOutline: Surround = async (opened) => {
  const outline = opened.use(await startOutline())
  const make = async (method: string, body: object) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${outline.keys.whole}` }
    const answer = await fetch(`${outline.url}/api/${method}`, { method: 'POST', headers, body: JSON.stringify(body) })
    return z.object({ data: z.looseObject({ id: z.string() }) }).parse(await answer.json()).data.id
  }
  const collectionId = await make('collections.create', { name: 'Engineering' })
  await make('documents.create', { title: 'Runbook', text: 'It uses systemd.', collectionId, publish: true })
  const url = await openToContainers(opened, outline.url)
  return {
    manifest: (text) => text.replace(/^env:.*$/m, `env: { OUTLINE_API_URL: "${url}" }`),
    secrets: { OUTLINE_API_KEY: outline.keys.whole },
  }
}

/** A service that draws at once. */
export const aroundMidjourney: Surround = async (opened) => {
  const midapi = opened.use(await openMidapi(addressForContainers()))
  midapi.begin = 'done'
  const env = `env: { MIDJOURNEY_STATE_DIR: /data, MIDJOURNEY_API_URL: "${midapi.url}", MIDJOURNEY_POLL_MS: "300" }`
  return { manifest: (text) => text.replace(/^env:.*$/m, env), secrets: { MIDJOURNEY_API_KEY: midapi.key } }
}

/** A folder of the machine that every user may read. */
async function folderOf(
  opened: AsyncDisposableStack,
  files: Readonly<Record<string, string | Buffer>>,
): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'gateway-served-'))
  opened.defer(() => rm(root, { recursive: true }))
  const folder = join(root, 'offered')
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), content)
  }
  return folder
}

/** The address at which containers reach what listens on this machine's loopback. */
async function openToContainers(opened: AsyncDisposableStack, url: string): Promise<string> {
  const host = addressForContainers()
  const way = opened.use(await openTcpWay(Number(new URL(url).port), host))
  return `http://${host}:${way.port}`
}
