import { fetch } from 'undici'
import { readLimited } from './limited.ts'
import type { Guard } from './public-address.ts'

export interface Fetched {
  /** Media type, by what is in it. */
  readonly type: string
  readonly bytes: Buffer
}

/** Upscaled ones are the largest. */
const mostBytes = 32 * 2 ** 20
/** ms */
const limit = 60_000

const starts: Readonly<Record<string, (head: Buffer) => boolean>> = {
  'image/png': (head) => head.readUInt32BE() === 0x89_50_4e_47,
  'image/jpeg': (head) => head.readUIntBE(0, 3) === 0xff_d8_ff,
  'image/webp': (head) => head.toString('latin1', 0, 4) === 'RIFF' && head.toString('latin1', 8) === 'WEBP',
}

/** Fetches a picture that the service names. Throws an Error that says why there is none. */
export async function fetchPicture(url: string, { dispatcher }: Guard, signal: AbortSignal): Promise<Fetched> {
  const response = await fetch(url, { dispatcher, signal: AbortSignal.any([signal, AbortSignal.timeout(limit)]) })
  if (!response.ok) {
    await response.body?.cancel()
    throw new Error(`its host answered HTTP ${response.status}`)
  }
  const bytes = await readLimited(response.body, mostBytes)
  const head = bytes.subarray(0, 12)
  const type = head.length === 12 && Object.keys(starts).find((name) => starts[name]?.(head))
  if (!type) throw new Error('its host sent something that is no png, jpeg or webp')
  return { type, bytes }
}
