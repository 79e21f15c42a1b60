import { escaped } from '#manifests/suspect.ts'
import { quote } from '#manifests/text.ts'
import type { ManifestFault } from '../desired.ts'

export type Step = string | number
export type Path = readonly Step[]

/** A YAML file as plain values, which remembers where each of them stands. */
export interface Manifest {
  readonly file: string
  /** JSON-like; an empty file is an empty mapping. */
  readonly value: unknown
  /** A fault at the value of a path, or at its key; where the path does not exist, at what of it does. */
  fault(path: Path, message: string, on?: 'key' | 'value'): ManifestFault
}

/** `agents.agent-b.servers[0]`; a key of other characters is in brackets and quotes. */
export function printPath(path: Path): string {
  return path
    .map((step, index) => {
      if (typeof step === 'number') return `[${step}]`
      if (!/^[\w-]+$/.test(step)) return `[${escaped(quote(step))}]`
      return index === 0 ? step : `.${step}`
    })
    .join('')
}

/** A fault of a whole file. */
export function faultOfFile(file: string, message: string): ManifestFault {
  return { file, line: 1, column: 1, at: '', message }
}

/** Faults of reading a file and of what it says; where both speak of one place, the first said all. */
export function join(reading: readonly ManifestFault[], meaning: readonly ManifestFault[]): readonly ManifestFault[] {
  const said = new Set(reading.map(({ at }) => at))
  return [...reading, ...meaning.filter(({ at }) => at === '' || !said.has(at))]
}
