import { createHmac, randomBytes } from 'node:crypto'
import { chmod, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { EnvFileFault, parseEnvFile } from './env-file.ts'

/** The secrets file cannot be used as it is. One line; never holds a value. */
export class SecretsFault extends Error {
  override readonly name = 'SecretsFault'
}

/** Bytes; nobody writes more by hand. */
const sizeLimit = 2 ** 20

/** Reads the secrets file as `docker compose` reads an env file. One that is not there holds no secrets. Throws `SecretsFault`. */
export async function readSecrets(file: string): Promise<ReadonlyMap<string, string>> {
  try {
    return parseEnvFile(await readText(file))
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) return new Map()
    throw new SecretsFault(`${file}${explain(cause)}`, { cause })
  }
}

async function readText(file: string): Promise<string> {
  await using handle = await open(file, 'r')
  const { size } = await handle.stat()
  if (size > sizeLimit) throw new RangeError(`has ${size} bytes, allowed are ${sizeLimit}`)
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await handle.readFile())
}

function explain(cause: unknown): string {
  if (cause instanceof EnvFileFault) return `:${cause.line}: ${cause.message}`
  if (cause instanceof RangeError) return `: ${cause.message}`
  if (hasCode(cause, 'EISDIR')) return ': is a folder, not a file; set GATEWAY_SECRETS to the file in it'
  if (hasCode(cause, 'EACCES') || hasCode(cause, 'EPERM'))
    return ': may not be read by the gateway; give its user read access'
  if (hasCode(cause, 'ERR_ENCODING_INVALID_ENCODED_DATA')) return ': is not UTF-8 text; save it as UTF-8'
  return `: cannot be read (${cause instanceof Error ? cause.message : String(cause)})`
}

/** Makes hashes of secrets that say nothing to who has no key. */
export interface Sealer {
  /** 64 hex digits; the same for the same values, whatever their order. */
  hmac(values: Readonly<Record<string, string>>): string
}

/** Opens the key in the state folder, or makes it: 32 random bytes, mode 0600. */
export async function sealer(state: string): Promise<Sealer> {
  const file = join(state, 'secrets.key')
  const key = await readFile(file).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return makeKey(file)
    throw error
  })
  if (key.length !== 32)
    throw new Error(
      `${file}: is damaged (${key.length} bytes instead of 32); remove it, and servers with secrets are replaced once`,
    )
  await chmod(file, 0o600)
  return {
    hmac: (values) => {
      const sorted = Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))
      return createHmac('sha256', key).update(JSON.stringify(sorted)).digest('hex')
    },
  }
}

/** Complete or not at all, whenever the process ends. */
async function makeKey(file: string): Promise<Buffer> {
  const key = randomBytes(32)
  await using handle = await open(`${file}.new`, 'w', 0o600)
  await handle.writeFile(key)
  await handle.sync()
  await rename(`${file}.new`, file)
  return key
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
