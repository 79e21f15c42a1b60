import type { Definition } from '#manifests/definition.ts'
import { orAbort } from './abort.ts'
import type { Gateway } from './gateway.ts'
import type { Message } from './message.ts'
import { isStrict, pinMessage, withheldBy } from './pinning.ts'
import { Refusal } from './refusal.ts'
import type { Target } from './table.ts'

/** How a server says that its tools are others now. */
const changed = 'notifications/tools/list_changed'

type Means = Pick<Gateway, 'holder' | 'probes'>

/** The tool that a message calls, by its name at its server. */
function calledIn({ method, params: { name } }: Message): string | undefined {
  return method === 'tools/call' && typeof name === 'string' ? name : undefined
}

/** Refuses a call of a tool that the pins keep from agents; `definitions` are those that the server had last. */
export function refuseWithheld(
  { holder }: Pick<Means, 'holder'>,
  { pins, server }: Target,
  definitions: readonly Definition[],
  name: string | undefined,
): void {
  const why = isStrict(pins) && name !== undefined ? withheldBy(pins, name, definitions) : undefined
  if (why === undefined || name === undefined) return
  const file = (holder.current?.grantsFile ?? '').replace(/permissions\.yaml$/, 'tools.lock.yaml')
  throw new Refusal(`tool-${why}`, { server, name, file })
}

/** The same of a body that is sent on as it is. A server whose tools are not known yet is asked first. */
export async function refuseWithheldCalls(
  gateway: Means,
  target: Target,
  messages: readonly Message[],
  signal: AbortSignal,
): Promise<void> {
  if (!isStrict(target.pins)) return
  const names = messages.flatMap((message) => calledIn(message) ?? [])
  if (names.length === 0) return
  const definitions = target.pins.mode === 'hold' ? [] : await definitionsOf(gateway, target, signal)
  for (const name of names) refuseWithheld(gateway, target, definitions, name)
}

async function definitionsOf({ probes }: Means, target: Target, signal: AbortSignal): Promise<readonly Definition[]> {
  const known = probes.known(target.generation)
  if (known !== undefined) return known.definitions
  const finding = await orAbort(probes.finding(target), signal).catch((cause: unknown) => {
    throw signal.aborted ? signal.reason : new Refusal('down', { server: target.server }, { cause })
  })
  return finding.definitions
}

/** An answer as the pins let agents see it. Where it shows what is not known yet, the server is looked at again, so that calls follow. */
export function pinAnswer({ probes }: Pick<Means, 'probes'>, { pins, generation }: Target, text: string): string {
  if (!isStrict(pins)) return text
  if (text.includes(changed)) probes.again(generation)
  const known = new Set(probes.known(generation)?.definitions.map(({ hash }) => hash))
  return pinMessage(pins, text, ({ hash }) => {
    if (!known.has(hash)) probes.again(generation)
  })
}
