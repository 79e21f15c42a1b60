import { lookup } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { Agent, buildConnector, type Dispatcher } from 'undici'

/** Keeps what outsiders name away from this machine and its network. */
export interface Guard {
  /** Connects to public addresses only, wherever a redirect leads, and whatever a name means by then. */
  readonly dispatcher: Dispatcher
  /** Why an address may not be given to the service; undefined if it may. */
  readonly refusal: (url: string) => Promise<string | undefined>
}

interface Address {
  readonly address: string
  readonly family: number
}

/** Asks the DNS. */
export type Find = (host: string) => Promise<readonly Address[]>

class NotPublic extends Error {
  constructor(host: string) {
    super(`${host} is not an address of the public internet`)
  }
}

/** `exempt` is a host that the operator has named. */
export function createGuard(exempt: string, find: Find = (host) => lookup(host, { all: true })): Guard {
  const addressesOf = async (host: string): Promise<readonly Address[]> => {
    const family = isIP(host)
    const found = family === 0 ? await find(host) : [{ address: host, family }]
    if (host !== exempt && !found.every(({ address }) => isPublic(address))) throw new NotPublic(host)
    return found
  }
  const connect = buildConnector({ lookup: lookupBy(addressesOf), timeout: 10_000 })
  const dispatcher = new Agent({
    // A host that is an address itself is not looked up by who connects.
    connect: (options, callback) => {
      addressesOf(options.hostname).then(
        () => connect(options, callback),
        (error: Error) => callback(error, null),
      )
    },
  })
  return { dispatcher, refusal: (url) => refusal(url, addressesOf) }
}

/** Of the internet that everybody reaches: no loopback, no network of somebody's own, nothing reserved. */
export function isPublic(address: string): boolean {
  return ipaddr.isValid(address) && ipaddr.process(address).range() === 'unicast'
}

function lookupBy(find: Find): LookupFunction {
  return (host, options, callback) => {
    find(host).then(
      (found) => {
        if (options.all) callback(null, [...found])
        else callback(null, found[0]?.address ?? '', found[0]?.family)
      },
      (error: Error) => callback(error, []),
    )
  }
}

async function refusal(url: string, find: Find): Promise<string | undefined> {
  const { protocol, hostname } = URL.parse(url) ?? {}
  if (hostname === undefined || (protocol !== 'http:' && protocol !== 'https:'))
    return `${shown(url)} is no http address`
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  return await find(host).then(
    () => undefined,
    (error: unknown) => (error instanceof NotPublic ? error.message : `there is no host ${host}`),
  )
}

function shown(url: string): string {
  return JSON.stringify(url.length > 100 ? `${url.slice(0, 100)}…` : url)
}
