import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Makes text unreadable to whoever has the journal without the key beside it. */
export interface Cover {
  cover(text: string): string
  /** Undefined for what was covered with another key. */
  uncover(covered: string): string | undefined
}

const algorithm = 'aes-256-gcm'
const [keyBytes, nonceBytes, tagBytes] = [32, 12, 16]

/** The key is `table.key` in the state folder, mode 0600, made when something is first to be covered. */
export function createCover(state: string): Cover {
  const file = join(state, 'table.key')
  let key: Buffer | undefined
  return {
    cover: (text) => {
      key ??= readKey(file) ?? makeKey(file)
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv(algorithm, key, nonce)
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64')
    },
    uncover: (covered) => {
      key ??= readKey(file)
      return key === undefined ? undefined : open(key, Buffer.from(covered, 'base64'))
    },
  }
}

function open(key: Buffer, bytes: Buffer): string | undefined {
  try {
    const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes })
    decipher.setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes))
    return Buffer.concat([decipher.update(bytes.subarray(nonceBytes + tagBytes)), decipher.final()]).toString()
  } catch {
    return undefined
  }
}

/** A damaged key is as good as none: what it covered is derived anew. */
function readKey(file: string): Buffer | undefined {
  try {
    const key = readFileSync(file)
    return key.length === keyBytes ? key : undefined
  } catch {
    return undefined
  }
}

function makeKey(file: string): Buffer {
  const key = randomBytes(keyBytes)
  writeFileSync(`${file}.new`, key, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return key
}
