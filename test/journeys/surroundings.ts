import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

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
