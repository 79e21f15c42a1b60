import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { gatewayFile, permissionsFile } from '../compile/layout.ts'

/** What kind of care a path needs: whose signature its changes must have. */
export type Care = 'default' | 'permissions'

/** Who may sign changes of one kind: an ssh `allowed_signers` file, and the hash of its text. */
export interface SignerList {
  readonly text: string
  /** 12 hex digits */
  readonly digest: string
}

export type Signers = Readonly<Record<Care, SignerList>>

/** The signers cannot be read as they are. One line, which says what would be right. */
export class SignersFault extends Error {
  override readonly name = 'SignersFault'
}

/** Who may call what, and what restrains a commit, are the two files that a folder of signers guards apart. */
export function careOf(path: string): Care {
  return path === permissionsFile || path === gatewayFile ? 'permissions' : 'default'
}

/** Reads one file for all paths, or a folder with `default` and `permissions`. Throws `SignersFault`. */
export async function readSigners(path: string): Promise<Signers> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    (cause: unknown) => unreadable(path, cause),
  )
  if (!isFolder) {
    const list = await readList(path)
    return { default: list, permissions: list }
  }
  return { default: await readList(join(path, 'default')), permissions: await readList(join(path, 'permissions')) }
}

async function readList(file: string): Promise<SignerList> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => unreadable(file, cause))
  const lines = text.split('\n').map((line, at) => ({ line: line.trim(), number: at + 1 }))
  const said = lines.filter(({ line }) => line !== '' && !line.startsWith('#'))
  if (said.length === 0)
    throw new SignersFault(`${file}: names no signer; write a line each: <name> ssh-ed25519 <public key>`)
  for (const { line, number } of said) {
    const wrong = wrongLine(line)
    if (wrong !== undefined) throw new SignersFault(`${file}:${number}: ${wrong}`)
  }
  return { text, digest: createHash('sha256').update(text).digest('hex').slice(0, 12) }
}

const keyType = String.raw`(?:ssh-(?:ed25519|rsa|dss)|ecdsa-sha2-nistp\d+|sk-(?:ssh|ecdsa)-[\w@.-]+)`
const bare = new RegExp(`^${keyType}\\s`)
const line = new RegExp(String.raw`^(?:"[^"]+"|\S+)\s.*?\b${keyType}\s+[A-Za-z0-9+/]{16,}={0,3}(?:\s|$)`)

function wrongLine(text: string): string | undefined {
  if (bare.test(text)) return 'begins with a key; write who it belongs to before it: <name> ssh-ed25519 <public key>'
  if (!line.test(text))
    return 'is no signer; write <name> ssh-ed25519 <public key>, as in ssh-keygen(1), ALLOWED SIGNERS'
}

function unreadable(file: string, cause: unknown): never {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  if (code === 'ENOENT')
    throw new SignersFault(`${file}: is not there; an allowed_signers file, or a folder with default and permissions`, {
      cause,
    })
  throw new SignersFault(`${file}: cannot be read (${code}); check who may read it`, { cause })
}
