import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A tool, what it is given, and what is in its answer; a picture is `[image]` there. */
export type Call = readonly [tool: string, args: Readonly<Record<string, unknown>>, answer: RegExp]

/** A server of `servers/`, and how one sees that it does its work. */
export interface Served {
  /** Where it listens, which old set-ups rely on. */
  readonly port: number
  /** Asked in this order. */
  readonly calls: readonly Call[]
  /** What it cannot do, and what it says then. */
  readonly refused: Call
  /** Makes what it needs around it; ended with the stack. */
  readonly surround?: (opened: AsyncDisposableStack) => Promise<Surroundings>
}

export interface Surroundings {
  /** Lines of its manifest that are different here, as the manifest's comments have them. */
  readonly manifest?: (text: string) => string
  /** What the secrets file says. */
  readonly secrets?: Readonly<Record<string, string>>
  /** Folders of the machine, by the names that manifests have for them. */
  readonly mounts?: Readonly<Record<string, string>>
}

export const served: Readonly<Record<string, Served>> = {
  '5etools': {
    port: 3001,
    calls: [
      ['search', { query: 'lantern moth', limit: '3' }, /Lantern Moth/],
      ['get_entry', { kind: 'spell', name: 'lantern moth' }, /level 1 illusion[\s\S]*moth of light[\s\S]*JRN, page 7/],
      ['list_sources', {}, /JRN/],
    ],
    refused: ['get_entry', { kind: 'spell', name: 'fireball' }, /no spell "fireball"/],
    async surround(opened) {
      const folder = await folderOf(opened, { 'data/spells/spells-jrn.json': JSON.stringify({ spell: [spell] }) })
      const manifest = (text: string) => text.replace(/^# {3}(?=mounts|env)/gm, '')
      return { manifest, mounts: { '5etools': folder } }
    },
  },
  mermaid: {
    port: 3010,
    calls: [
      ['render_diagram', { code: 'flowchart LR\n  a --> b', scale: '2' }, /^\[image\]\nflowchart \d+×\d+/],
      ['render_diagram', { code: 'pie\n  "你好" : 3', format: 'svg' }, /^<svg[\s\S]*你好/],
      ['validate_diagram', { code: 'sequenceDiagram\n  A->>B: hi' }, /^valid sequence$/],
      ['list_diagram_types', {}, /^gantt: /m],
    ],
    refused: ['render_diagram', { code: 'flowchart LR\n  a -->' }, /Parse error on line \d/],
  },
}

const spell = {
  ...{ name: 'Lantern Moth', source: 'JRN', page: 7, level: 1, school: 'I' },
  time: [{ number: 1, unit: 'action' }],
  range: { type: 'point', distance: { type: 'feet', amount: 30 } },
  components: { v: true, s: true },
  duration: [{ type: 'timed', duration: { type: 'minute', amount: 10 } }],
  entries: ['A moth of light circles you and sheds dim light for {@dice 1d4} paces.'],
}

/** A folder of the machine that every user may read; gone with the stack. */
async function folderOf(opened: AsyncDisposableStack, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gateway-served-'))
  opened.defer(() => rm(folder, { recursive: true }))
  const shared = join(folder, 'shared')
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(shared, path, '..'), { recursive: true })
    await writeFile(join(shared, path), text)
  }
  return shared
}
