import type { Gateway } from './gateway.ts'
import { allows } from './grant.ts'
import { find, signNote } from './relabel.ts'
import type { Owner } from './resolve.ts'
import { Subscription, type SubscriptionOptions } from './subscription.ts'
import { grantOf } from './table.ts'

/** A grant may have been taken away since. */
function isGranted(
  { gateway, agent }: { readonly gateway: Gateway; readonly agent: string },
  server: string,
  text: string,
) {
  const snapshot = gateway.holder.current
  const grant = snapshot && grantOf(snapshot, agent, server)
  const uri = find(text, ['params', 'uri'])
  return (
    grant !== undefined &&
    uri !== undefined &&
    allows(grant, 'resources', String(JSON.parse(text.slice(uri.at, uri.to))))
  )
}

/** What one client of the joint endpoint wants to hear of, whichever servers have it. */
export class Subscriptions {
  readonly #servers = new Map<string, Subscription>()
  readonly #options: Omit<SubscriptionOptions, 'server'>

  constructor(options: Omit<SubscriptionOptions, 'server'>) {
    this.#options = options
  }

  /** Throws a `Refusal` where the server does not take note. */
  add({ server, lead, named }: Owner): Promise<void> {
    const known = this.#servers.get(server)
    if (known !== undefined) return known.add(named.value)
    const { take, ...rest } = this.#options
    const deliver = (text: string) => {
      if (isGranted(this.#options, server, text)) take(signNote(text, server, lead))
    }
    const made = new Subscription({ ...rest, server, take: deliver })
    this.#servers.set(server, made)
    return made.add(named.value)
  }

  async remove({ server, named }: Owner): Promise<void> {
    await this.#servers.get(server)?.remove(named.value)
  }
}
