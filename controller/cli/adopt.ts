import { appendFile, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Command, Option } from 'commander'
import { labelsOf, mark } from '../docker/labels.ts'
import { HostDown } from '../host.ts'
import { openEngineHere } from './engine.ts'
import { Fault } from './fault.ts'
import { print, printJson } from './print.ts'

const lookWithin = 30_000

interface Options {
  readonly state: string
  readonly instance: string
  readonly json?: boolean
}

export function addAdopt(program: Command): void {
  program
    .command('adopt')
    .description('let the controller of this state take over what another state runs under the same instance')
    .addOption(new Option('--state <dir>', 'state folder of the controller that takes over').env('GATEWAY_STATE'))
    .addOption(new Option('--instance <name>', 'the instance').env('GATEWAY_INSTANCE').default('gateway'))
    .option('--json', 'as JSON')
    .action(
      async ({ state = '/var/lib/gateway', instance, json }: Partial<Options> & { readonly instance: string }) => {
        const adopted = await adopt(resolve(state), instance)
        if (json) printJson({ adopted })
        else print(`taken over from ${adopted.join(' and ')}`)
      },
    )
}

/** The states whose units the controller of `state` may now take over, beside those it already could. */
async function adopt(state: string, instance: string): Promise<readonly string[]> {
  const owners = await ownersOf(instance)
  if (owners.length === 0) throw new Fault(`nothing on this engine belongs to the instance "${instance}"`)
  const file = join(state, 'adopted')
  const known = (await readFile(file, 'utf8').catch(() => '')).split('\n')
  const fresh = owners.filter((owner) => !known.includes(owner))
  await appendFile(file, fresh.map((owner) => `${owner}\n`).join(''), { mode: 0o600 }).catch((cause: unknown) => {
    throw new Fault(`${file} cannot be written: is ${state} the state folder?`, { cause })
  })
  return owners
}

async function ownersOf(instance: string): Promise<readonly string[]> {
  try {
    const edges = await openEngineHere().containers(
      labelsOf({ instance, role: 'edge' }),
      AbortSignal.timeout(lookWithin),
    )
    return [...new Set(edges.flatMap(({ Config }) => mark(Config.Labels, 'state') ?? []))]
  } catch (cause) {
    if (cause instanceof HostDown) throw new Fault(cause.message, { cause })
    throw cause
  }
}
