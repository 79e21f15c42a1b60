import { posix } from 'node:path'
import { nameOf } from './name.ts'
import type { Service } from './service.ts'

export interface Volumes {
  readonly volumes: readonly string[]
  readonly mounts: readonly string[]
  readonly notes: readonly string[]
}

/** Named volumes stay; a folder of the machine becomes one that its operator offers by name, read-only. */
export function readVolumes({ volumes: given }: Service): Volumes {
  const volumes: string[] = []
  const mounts: string[] = []
  const notes: string[] = []
  for (const volume of given ?? []) {
    const { source, target, isReadOnly } = partsOf(volume)
    if (/\.sock$/.test(source ?? '')) notes.push(`volume ${source}: no socket of the machine is ever given to a server`)
    else if (source === undefined) notes.push(`volume ${target}: has no name; give it one, or list it as "tmpfs"`)
    else if (/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(source)) {
      volumes.push(`${source}:${target}`)
      notes.push(`volume ${source}: begins empty, as a volume of this server alone; copy its files over`)
    } else {
      const name = nameOf(posix.basename(source)) || 'folder'
      mounts.push(`${name}:${target}`)
      const only = isReadOnly ? '' : ', and the server can only read it'
      notes.push(`volume ${source}: is offered on the machine by GATEWAY_MOUNTS=${name}=<its absolute path>${only}`)
    }
  }
  return { volumes, mounts, notes }
}

function partsOf(volume: NonNullable<NonNullable<Service['volumes']>[number]>) {
  if (typeof volume !== 'string')
    return { source: volume.source, target: volume.target, isReadOnly: volume.read_only === true }
  const [first = '', target, mode = ''] = volume.split(':')
  return target === undefined
    ? { source: undefined, target: first, isReadOnly: false }
    : { source: first, target, isReadOnly: mode.split(',').includes('ro') }
}
