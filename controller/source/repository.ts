import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { quoted, WrongValue } from '../config/variable.ts'

/** Where a git repository is. `label` is how people are shown it. No part holds a credential. */
export type Repository = { readonly url: string; readonly label: string } & (
  | { readonly kind: 'http'; readonly protocol: 'http' | 'https'; readonly origin: string }
  | { readonly kind: 'ssh'; readonly host: string; readonly port: string; readonly path: string }
  | { readonly kind: 'folder' }
)

const allowed = 'allowed is https://…, http://…, ssh://user@host/…, user@host:path or a folder of this machine'

const credentials = 'found credentials in the URL; take them out and give the token in GATEWAY_GIT_TOKEN'

/** Reads a repository's address as git would, but for what could run a command or carry a credential. */
export function readRepository(text: string): Repository {
  if (/^\s|\s$|\p{Cc}|^-|^[a-z0-9+.-]+::/iu.test(text)) throw new WrongValue(`found ${quoted(text)}, ${allowed}`)
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return fromUrl(text)
  const [, user = '', host, path] = /^([^@/:]+@)?([^@/:]+|\[[0-9a-f:]+\]):(.+)$/i.exec(text) ?? []
  if (host === undefined || path === undefined) return folder(resolve(text))
  if (user === '' && /^[^/]*@/.test(path)) throw new WrongValue(credentials)
  if (host.startsWith('-') || user.startsWith('-')) throw new WrongValue(`found ${quoted(text)}, ${allowed}`)
  return { kind: 'ssh', host: host.replace(/^\[|\]$/g, ''), port: '22', path, url: text, label: text }
}

function fromUrl(text: string): Repository {
  const url = URL.parse(text)
  if (url === null) throw new WrongValue(`found an address that is no URL, ${allowed}`)
  if (url.password !== '' || (url.username !== '' && url.protocol !== 'ssh:')) throw new WrongValue(credentials)
  if (url.search !== '' || url.hash !== '')
    throw new WrongValue('found a query or fragment in the URL, allowed is the address that git clone takes')
  switch (url.protocol) {
    case 'http:':
    case 'https:':
      return {
        kind: 'http',
        protocol: url.protocol === 'https:' ? 'https' : 'http',
        origin: url.origin,
        url: url.href,
        label: url.href,
      }
    case 'ssh:':
      if (/^-|^%2d/i.test(url.hostname) || /^-|^%2d/i.test(url.username))
        throw new WrongValue(`found ${quoted(text)}, ${allowed}`)
      return {
        kind: 'ssh',
        host: url.hostname.replace(/^\[|\]$/g, ''),
        port: url.port || '22',
        path: url.pathname,
        url: text,
        label: text,
      }
    case 'file:':
      if (url.host !== '') throw new WrongValue(`found ${quoted(text)}, allowed is file:///<absolute path>`)
      return folder(fileURLToPath(url))
    default:
      throw new WrongValue(`found "${url.protocol}//…", ${allowed}`)
  }
}

function folder(path: string): Repository {
  return { kind: 'folder', url: path, label: path }
}
