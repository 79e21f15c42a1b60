import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { validateDetailed } from 'node-cron'

/** A value that cannot be meant; the message says what was found and what is allowed. */
export class WrongValue extends Error {
  override readonly name = 'WrongValue'
}

/** On one line, and without what a URL may carry before its host. */
export function quoted(text: string): string {
  return JSON.stringify(text.replace(/\/\/.*@/s, '//…@'))
}

export interface Address {
  /** An IP address, IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

/** `host:port`, IPv6 in brackets; `localhost` is 127.0.0.1. */
export function readAddress(text: string): Address {
  const [, host = '', port = ''] = /^(.*):(\d{1,5})$/.exec(text) ?? []
  const bare = host === 'localhost' ? '127.0.0.1' : host.replace(/^\[(.+:.*)\]$/, '$1')
  const bracketed = bare !== host || !host.includes(':')
  if (isIP(bare) === 0 || !bracketed || Number(port) > 65_535)
    throw new WrongValue(`found ${quoted(text)}, allowed is <IP address>:<port>, as 0.0.0.0:3100 or [::]:3100`)
  return { host: bare, port: Number(port) }
}

/** An address that others must be able to know beforehand. */
export function readFixedAddress(text: string): Address {
  const address = readAddress(text)
  if (address.port === 0) throw new WrongValue(`found port 0, allowed is 1 to 65535`)
  return address
}

/** A base URL without credentials, query or trailing slash. */
export function readBaseUrl(text: string): string {
  const url = URL.parse(text)
  const allowed = 'allowed is http(s)://<host>, without credentials, query or fragment'
  if (url === null || !/^https?:$/.test(url.protocol)) throw new WrongValue(`found ${quoted(text)}, ${allowed}`)
  if (url.username !== '' || url.password !== '') throw new WrongValue(`found credentials in the URL, ${allowed}`)
  if (url.search !== '' || url.hash !== '') throw new WrongValue(`found ${quoted(text)}, ${allowed}`)
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

/** Where agents' paths begin: `/mcp` is added to it. */
export function readAgentsUrl(text: string): string {
  const url = readBaseUrl(text)
  if (url.endsWith('/mcp'))
    throw new WrongValue(`found ${quoted(text)}, allowed is the address without /mcp at its end`)
  return url
}

/** A node-cron expression of 5 or 6 fields. */
export function readCron(text: string): string {
  const { valid, errors } = validateDetailed(text)
  const fields = text.trim().split(/\s+/).length
  const reason = errors[0]?.message
  if (!valid || fields < 5 || fields > 6)
    throw new WrongValue(
      `found ${quoted(text)}${reason === undefined ? '' : ` (${reason})`}, allowed is a cron expression of 5 or 6 fields, as */30 * * * * *`,
    )
  return text.trim()
}

/** An IPv4 range of at least a /24, by its first address: CIDR. */
export function readSubnets(text: string): string {
  const [, address = '', bits = ''] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? []
  const prefix = Number(bits)
  if (isIP(address) !== 4 || prefix < 8 || prefix > 24)
    throw new WrongValue(
      `found ${quoted(text)}, allowed is an IPv4 range of at least a /24 (to a /8), as 10.213.0.0/16`,
    )
  const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  if (value % 2 ** (32 - prefix) !== 0)
    throw new WrongValue(`found ${quoted(text)}, which does not begin at the first address of a /${prefix}`)
  return text
}

/** The engine's socket, as `DOCKER_HOST` names it. */
export function readEngine(text: string): string {
  const path = /^unix:\/\/(\/.+)$/.exec(text)?.[1]
  if (path === undefined)
    throw new WrongValue(`found ${quoted(text)}, allowed is unix:///path/of/the.sock: the engine of this machine`)
  return path
}

/** `name=/absolute/path,…` */
export function readMounts(text: string): Readonly<Record<string, string>> {
  const mounts: Record<string, string> = {}
  for (const part of text.split(',')) {
    const [, name, folder] = /^\s*([a-z0-9][a-z0-9-]{0,19})=(\/.*?)\s*$/.exec(part) ?? []
    if (name === undefined || folder === undefined)
      throw new WrongValue(
        `found ${quoted(part)}, allowed is name=/absolute/path, comma-separated, as personal=/srv/personal`,
      )
    if (Object.hasOwn(mounts, name)) throw new WrongValue(`${quoted(name)} is given twice`)
    mounts[name] = resolve(folder)
  }
  return mounts
}

/** Comma-separated names of engine networks. */
export function readNetworks(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim())
  const wrong = names.find((name) => !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name))
  if (wrong !== undefined)
    throw new WrongValue(`found ${quoted(wrong)}, allowed are names of engine networks, comma-separated`)
  return [...new Set(names)]
}

export function readInstance(text: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,30}$/.test(text))
    throw new WrongValue(`found ${quoted(text)}, allowed are 1 to 31 of a-z, 0-9 and -, not beginning with -`)
  return text
}

/** A folder of the machine, short enough that a socket's path below it fits. */
export function readState(text: string): string {
  const folder = resolve(text)
  const bytes = Buffer.byteLength(folder)
  if (bytes > 80)
    throw new WrongValue(`${quoted(folder)} has ${bytes} bytes, allowed are 80: the path of a socket in it ends at 107`)
  return folder
}

/** A branch as people write it, without `refs/heads/`. */
export function readBranch(text: string): string {
  const wrong = /^[-/]|^refs\/|\.\.|\/\/|@\{|[\s~^:?*[\\]|\p{Cc}|(^|\/)\.|\.lock(\/|$)|[/.]$/u
  if (wrong.test(text)) throw new WrongValue(`found ${quoted(text)}, allowed is the name of a branch, as main`)
  return text
}

/** A folder of the repository, `` for its root, without slashes at its ends. */
export function readPath(text: string): string {
  const parts = text.split('/').filter((part) => part !== '' && part !== '.')
  if (parts.includes('..') || text.includes('\\') || /\p{Cc}/u.test(text))
    throw new WrongValue(`found ${quoted(text)}, allowed is a folder inside the repository, as deploy/gateway`)
  return parts.join('/')
}

/** A token as it stands in a header. Never quoted in an error. */
export function readToken(text: string): string {
  if (!/^[\x21-\x7e]+$/.test(text))
    throw new WrongValue('holds a space, a line break or a letter outside ASCII, allowed is the token alone')
  return text
}

/** Comma-separated secrets. Never quoted in an error. */
export function readTokens(text: string): readonly string[] {
  const tokens = text.split(',').map((token) => token.trim())
  if (tokens.includes(''))
    throw new WrongValue('holds an empty secret, allowed are secrets separated by one comma each')
  return tokens.map(readToken)
}
