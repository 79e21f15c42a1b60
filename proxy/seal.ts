import { createCipheriv, createDecipheriv, hash, randomBytes, randomUUID } from 'node:crypto'
import { link, readFile, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isRecord, type Message } from './message.ts'

/** What a server's state is bound to: nobody else may bring it back, nor with another request. */
export interface Binding {
  readonly agent: string
  readonly server: string
  readonly message: Message
}

/** Seals what a server wants back from a client, which it would take from whoever comes through the gateway. */
export interface Seal {
  close(state: string, binding: Binding): string
  /** Undefined where it was not sealed for this, or too long ago. */
  open(sealed: string, binding: Binding): string | undefined
}

export const sealKeyBytes = 32
/** How long a person may take, ms. */
export const lasts = 10 * 60_000
const nonceBytes = 12
const tagBytes = 16
/** What of a request differs between a question and its answer. */
const varying: ReadonlySet<string> = new Set(['_meta', 'inputResponses', 'requestState'])

export function createSeal(key: Buffer): Seal {
  return {
    close: (state, binding) => {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(bound(binding))
      const text = JSON.stringify({ state, until: Date.now() + lasts })
      return Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]).toString('base64url')
    },
    open: (sealed, binding) => {
      const bytes = Buffer.from(sealed, 'base64url')
      if (bytes.length < nonceBytes + tagBytes) return undefined
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
      decipher.setAAD(bound(binding)).setAuthTag(bytes.subarray(-tagBytes))
      try {
        const text = Buffer.concat([decipher.update(bytes.subarray(nonceBytes, -tagBytes)), decipher.final()])
        return readState(JSON.parse(text.toString()))
      } catch {
        return undefined
      }
    },
  }
}

function bound({ agent, server, message: { method, params } }: Binding): Buffer {
  const fixed = Object.entries(params).filter(([key]) => !varying.has(key))
  return Buffer.from(JSON.stringify([agent, server, method, hash('sha256', JSON.stringify(fixed.sort(byKey)))]))
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1
}

function readState(value: unknown): string | undefined {
  const isFresh = isRecord(value) && typeof value.until === 'number' && value.until > Date.now()
  return isFresh && typeof value.state === 'string' ? value.state : undefined
}

/** The key that the proxies of an instance share, in their folder; made by the first of them. Throws where it can be neither read nor made. */
export async function readSealKey(folder: string): Promise<Buffer> {
  const file = join(folder, 'seal.key')
  const own = join(folder, `seal.${randomUUID()}`)
  try {
    return await readKey(file)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  // Whole before it has its name, so that no other proxy reads a part of it.
  await writeFile(own, randomBytes(sealKeyBytes), { mode: 0o600, flush: true })
  await link(own, file).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  })
  await unlink(own)
  return readKey(file)
}

async function readKey(file: string): Promise<Buffer> {
  const key = await readFile(file)
  if (key.length !== sealKeyBytes) throw new Error(`${file} has ${key.length} bytes, not ${sealKeyBytes}: remove it`)
  return key
}
