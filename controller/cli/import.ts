import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { readYaml } from '../compile/yaml.ts'
import { below, type Conversion, convert, type Surroundings } from '../compose/convert.ts'
import { printYaml } from '../compose/print-yaml.ts'
import { ComposeFile } from '../compose/service.ts'
import { parseEnvFile } from '../config/env-file.ts'
import { describeFault } from '../desired.ts'
import { Fault } from './fault.ts'
import { complain, print, printJson } from './print.ts'

interface Options {
  readonly write?: string
  readonly json?: boolean
}

/** No commit is valid without it. */
const nobody = { path: 'manifests/permissions.yaml', text: 'agents: {}\n' }

export function addImport(program: Command): void {
  program
    .command('import')
    .description('manifests for the services of a compose file; what they cannot say is named on stderr')
    .argument('<compose-file>')
    .option('--write <dir>', 'write them into this folder’s manifests/servers/, instead of printing them')
    .option('--json', 'as JSON')
    .action(showImport)
}

async function showImport(file: string, options: Options): Promise<void> {
  const root = resolve(options.write ?? dirname(file))
  const services = await readServices(file)
  const around = surroundings(root, dirname(resolve(file)))
  const found = services.map(([name, service]) => convert(name, service, around))
  refuseTwins(found)
  const servers = found.flatMap(({ name, manifest }) =>
    manifest === undefined ? [] : [{ path: `manifests/servers/${name}.yaml`, text: printYaml(manifest) }],
  )
  const texts = [...servers, ...(existsSync(join(root, nobody.path)) ? [] : [nobody])]
  if (options.write !== undefined) await writeAll(root, texts)
  if (options.json) return printJson({ servers: found })
  for (const { path, text } of texts) print(options.write === undefined ? `# ${path}\n${text}` : path)
  for (const { name, manifest, notes } of found)
    complain(...[...(manifest === undefined ? ['left out'] : []), ...notes].map((note) => `${name}: ${note}`))
  if (servers.length === 0) throw new Fault(`nothing of ${file} can be a server as it stands`)
}

async function readServices(file: string) {
  const body = await readFile(file).catch((cause: unknown) => {
    throw new Fault(`${file} cannot be read: ${cause instanceof Error ? cause.message : cause}`, { cause })
  })
  const { manifest, faults } = readYaml(file, body, { verbatim: () => false, dollars: () => true })
  if (manifest === undefined || faults.length > 0) throw new Fault(faults.map(describeFault).join('\n'))
  const parsed = ComposeFile.safeParse(manifest.value)
  if (parsed.success) return Object.entries(parsed.data.services)
  const lines = parsed.error.issues.map(({ path, message }) =>
    describeFault(
      manifest.fault(
        path.filter((step) => typeof step !== 'symbol'),
        message,
      ),
    ),
  )
  throw new Fault(lines.join('\n'))
}

function surroundings(root: string, folder: string): Surroundings {
  return {
    folder: below(root, folder),
    envFile(path) {
      try {
        return [...parseEnvFile(readFileSync(resolve(folder, path), 'utf8')).keys()]
      } catch {
        return undefined
      }
    },
  }
}

function refuseTwins(found: readonly Conversion[]): void {
  const names = found.map(({ name }) => name)
  const twin = names.find((name, index) => names.indexOf(name) !== index)
  if (twin !== undefined) throw new Fault(`two services would be named "${twin}" here: rename one`)
}

async function writeAll(
  root: string,
  texts: readonly { readonly path: string; readonly text: string }[],
): Promise<void> {
  const taken = texts.find(({ path }) => existsSync(join(root, path)))
  if (taken !== undefined) throw new Fault(`${join(root, taken.path)} is there already: nothing was written`)
  await mkdir(join(root, 'manifests/servers'), { recursive: true }).catch((cause: unknown) => {
    throw new Fault(`${root} cannot be written: ${cause instanceof Error ? cause.message : cause}`, { cause })
  })
  for (const { path, text } of texts) await writeFile(join(root, path), text, { flag: 'wx' })
}
