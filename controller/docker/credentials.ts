import { readFile } from 'node:fs/promises'
import { z } from 'zod'

/** What the engine presents to a registry. */
export type Credential =
  | { readonly serveraddress: string; readonly username: string; readonly password: string }
  | { readonly serveraddress: string; readonly identitytoken: string }

/** By registry, as an image's name has it. */
export type Credentials = ReadonlyMap<string, Credential>

const Entry = z.object({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
})

const File = z.object({
  auths: z.record(z.string(), Entry).default({}),
  credHelpers: z.record(z.string(), z.string()).default({}),
  credsStore: z.string().optional(),
})

const variable = 'GATEWAY_REGISTRY_AUTH'
const hub = 'docker.io'

/** Reads docker's `config.json`. Throws one clear line, without any of its values. */
export async function readCredentials(file: string | undefined): Promise<Credentials> {
  if (file === undefined) return new Map()
  const { auths, credHelpers, credsStore } = parse(file, await read(file))
  if (credsStore !== undefined || Object.keys(credHelpers).length > 0)
    throw new Error(
      `${variable}: ${file} names a program that keeps credentials (credsStore, credHelpers), allowed are auths with the credentials themselves`,
    )
  return new Map(
    Object.entries(auths).map(([registry, entry]) => {
      const credential = credentialOf(registry, entry)
      if (credential === undefined)
        throw new Error(
          `${variable}: ${file} auths["${registry}"] has neither an identitytoken nor an auth, which is base64 of user:password`,
        )
      return [plainName(registry), credential]
    }),
  )
}

/** The registry of an image's name. */
export function registryOf(ref: string): string {
  const [first = '', ...rest] = ref.split('/')
  return rest.length > 0 && (/[.:]/.test(first) || first === 'localhost') ? plainName(first) : hub
}

/** Images of registries that a Dockerfile begins from or copies from; a name that is made of variables is not known. */
export function basesOf(dockerfile: string): readonly string[] {
  const lines = dockerfile.split('\n').map((line) => line.trim())
  const stages = new Set(lines.flatMap((line) => /^FROM\s.*\sAS\s+(\S+)$/i.exec(line)?.[1]?.toLowerCase() ?? []))
  const named = lines.flatMap(
    (line) =>
      /^FROM\s+(?:--\S+\s+)*(\S+)/i.exec(line)?.[1] ?? /^COPY\s+(?:--\S+\s+)*?--from=(\S+)/i.exec(line)?.[1] ?? [],
  )
  const isImage = (name: string) => !name.includes('$') && !stages.has(name.toLowerCase()) && !/^\d+$/.test(name)
  return [...new Set(named.filter((name) => name !== 'scratch' && isImage(name)))]
}

function credentialOf(serveraddress: string, { auth, username, password, identitytoken }: z.infer<typeof Entry>) {
  if (identitytoken !== undefined && identitytoken !== '') return { serveraddress, identitytoken }
  const text =
    auth === undefined || auth === '' ? `${username ?? ''}:${password ?? ''}` : Buffer.from(auth, 'base64').toString()
  const [, user, secret] = /^([^:]+):(.+)$/s.exec(text) ?? []
  return user === undefined || secret === undefined ? undefined : { serveraddress, username: user, password: secret }
}

/** Without scheme and path; the Hub has more than one name. */
function plainName(registry: string): string {
  const name = registry.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  return ['index.docker.io', 'registry-1.docker.io'].includes(name) ? hub : name
}

async function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    const code = error instanceof Error && 'code' in error ? error.code : error
    throw new Error(`${variable}: ${file} cannot be read (${code})`)
  })
}

function parse(file: string, text: string): z.infer<typeof File> {
  try {
    return File.parse(JSON.parse(text))
  } catch {
    throw new Error(
      `${variable}: ${file} is not a config.json of docker, required is {"auths": {"<registry>": {"auth": "…"}}}`,
    )
  }
}
