import { z } from 'zod'
import { volumeName } from './name.ts'
import { judged, quote } from './text.ts'

const machine =
  'no folder of the machine has a key here: its operator offers some by name (GATEWAY_MOUNTS), for "mounts"'
const reserved = /^\/(?:proc|sys|dev|\.gateway)(?:\/|$)|(?:^|\/)(?:docker|containerd|podman)\.sock$/

/** What is wrong with a path inside a container, as a sentence. */
function wrongTarget(target: string): string | undefined {
  if (/\.sock$/.test(target)) return `${quote(target)}: no engine’s socket is ever given to a server`
  if (!/^(?:\/[A-Za-z0-9._@+-]+)+$/.test(target) || /\/\.\.?(?:\/|$)/.test(target))
    return `expected an absolute path such as /data, found ${quote(target)}`
  if (reserved.test(target)) return `${quote(target)} belongs to the system`
}

export const ContainerPath = judged(wrongTarget).meta({ pattern: '^/' })

function wrongVolume(value: string): string | undefined {
  const [source = '', target, ...rest] = value.split(':')
  if (source.includes('.sock')) return `${quote(value)}: the engine’s socket is never given to a server`
  if (/^[/.~\\]/.test(source) || source.includes('/')) return `${quote(value)}: ${machine}`
  if (!volumeName.test(source) || target === undefined)
    return `expected name:/path such as data:/data, found ${quote(value)}`
  if (rest.length > 0) return `expected name:/path without options, found ${quote(value)}`
  return wrongTarget(target)
}

function pair(value: string) {
  const colon = value.indexOf(':')
  return { source: value.slice(0, colon), target: value.slice(colon + 1) }
}

const VolumeName = judged((name) => {
  if (/[/\\~]/.test(name)) return `${quote(name)}: ${machine}`
  return volumeName.test(name) ? undefined : `expected a volume’s name, found ${quote(name)}`
})

/** A named volume of the engine, which belongs to the server. */
export const VolumeSpec = z.union([
  judged(wrongVolume)
    .meta({ pattern: '^[^/:]+:/[^:]+$' })
    .transform((value) => ({ ...pair(value), shared: false })),
  z.strictObject({
    source: VolumeName.describe('Name of the volume.'),
    target: ContainerPath.describe('Where the server finds it.'),
    shared: z.boolean().prefault(false).describe('`true` where two containers may write to it at once.'),
  }),
])

/** A folder that the machine's operator offers by name, read-only. */
export const MountSpec = judged(wrongVolume).meta({ pattern: '^[^/:]+:/[^:]+$' }).transform(pair)

function wrongTmpfs(value: string): string | undefined {
  if (value.includes(':') || value.includes(',')) return `expected a path without options, found ${quote(value)}`
  return wrongTarget(value)
}

export const TmpfsPath = judged(wrongTmpfs).meta({ pattern: '^/[^:,]+$' })
