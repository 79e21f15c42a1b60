import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { addressOf, type HostOptions } from '../host.ts'
import { type ProxyVariable, proxyCommand, proxyMemory } from '../proxy-program.ts'

/** Hash of all that a proxy of this checkout is made from, and of all that it is told. */
export async function proxySpec(product: string, options: HostOptions): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([proxyCommand, proxyEnvironment('', options)]))
  for (const file of await sourcesOf(product)) {
    const body = await readFile(join(product, file))
    hash.update(`${file}\0${body.length}\0`).update(body)
  }
  return hash.digest('hex')
}

async function sourcesOf(product: string): Promise<readonly string[]> {
  const found = await readdir(join(product, 'proxy'), { recursive: true, withFileTypes: true })
  const proxy = found.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  const nouns = (await readdir(join(product, 'manifests'))).filter((name) => name.endsWith('.ts'))
  const files = [...proxy.map((path) => relative(product, path)), ...nouns.map((name) => join('manifests', name))]
  return [...files.sort(), 'package-lock.json']
}

export function proxyEnvironment(name: string, options: HostOptions): Readonly<Record<string, string>> {
  const { state, url, logLevel } = options
  return {
    GATEWAY_PROXY_NAME: name,
    GATEWAY_PROXY_LISTEN: addressOf(options.listen),
    GATEWAY_TABLE_SOCKET: join(state, 'run', 'table.sock'),
    GATEWAY_PROXY_STATE: join(state, 'proxy'),
    NODE_COMPILE_CACHE: join(state, 'code'),
    ...proxyMemory,
    ...(url === undefined ? {} : { GATEWAY_URL: url }),
    ...(logLevel === undefined ? {} : { LOG_LEVEL: logLevel }),
  } satisfies Partial<Record<ProxyVariable | 'NODE_COMPILE_CACHE' | keyof typeof proxyMemory, string>>
}
