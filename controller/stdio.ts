import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Generation } from './host.ts'

/** The folder of the wrapper that serves programs which speak MCP on stdin and stdout; it needs nothing but Node. */
export const wrapperFolder = fileURLToPath(new URL('../stdio/', import.meta.url))

/** What it is started from. */
export const wrapperMain = 'main.ts'

/** Its files; `main.ts` is the last one. */
export async function wrapperFiles(): Promise<readonly { readonly path: string; readonly body: Buffer }[]> {
  const names = (await readdir(wrapperFolder)).filter((name) => /\.(ts|json)$/.test(name) && name !== wrapperMain)
  return Promise.all(
    [...names.sort(), wrapperMain].map(async (path) => ({ path, body: await readFile(join(wrapperFolder, path)) })),
  )
}

/** Hash of the wrapper and of the Node that runs it. */
export async function wrapperHash(): Promise<string> {
  const hash = createHash('sha256').update(process.version)
  for (const { path, body } of await wrapperFiles()) hash.update(`\0${path}\0${body.length}\0`).update(body)
  return hash.digest('hex')
}

/** Its arguments, with the program's command at their end. */
export function wrapperArguments(
  { sessions, idle, path, health, secrets }: NonNullable<Generation['stdio']>,
  command: readonly string[],
): string[] {
  return [
    ...['--path', path, ...(health === undefined ? [] : ['--health', health])],
    ...['--sessions', `${sessions}`, '--idle', `${idle}`],
    ...(secrets.length === 0 ? [] : ['--secrets', secrets.join(',')]),
    ...['--', ...command],
  ]
}

/** The wrapper gives its programs a variable under its own name that begins so. */
const aside = 'COMMONS_GATEWAY_ASIDE_'
/** What would change how the wrapper itself runs, or keep it from running. */
const meddling = ['NODE_OPTIONS', 'NODE_V8_COVERAGE', 'OPENSSL_CONF', 'LD_PRELOAD', 'LD_LIBRARY_PATH', 'LD_AUDIT']

type Variables = Readonly<Record<string, string>>

/** The variables that stand in the wrapper's environment for those of its programs; `inherited` are there without being named. */
export function wrapperEnvironment(env: Variables, inherited: Variables = {}): Variables {
  const meant = Object.entries({ ...inherited, ...env }).filter(
    ([name, value]) => meddling.includes(name) && value !== '',
  )
  return {
    ...env,
    ...Object.fromEntries(
      meant.flatMap(([name, value]) => [
        [name, ''],
        [aside + name, value],
      ]),
    ),
  }
}
