import { WrongValue } from '../config/variable.ts'
import { readRepository } from '../source/repository.ts'

/** `owner/name` of the repository on the forge. Throws `WrongValue` where it does not lie there. */
export function locateOnForge(repo: string, forgeUrl: string): string {
  const repository = readRepository(repo)
  const forge = new URL(forgeUrl)
  switch (repository.kind) {
    case 'folder':
      throw new WrongValue(`GATEWAY_REPO is a folder of this machine, allowed is a repository of the forge`)
    case 'http': {
      const below = new URL(repository.url)
      const path = forge.pathname.replace(/\/$/, '')
      if (repository.origin !== forge.origin || !below.pathname.startsWith(`${path}/`)) break
      return ownerAndName(decodeURIComponent(below.pathname.slice(path.length)))
    }
    case 'ssh':
      // ssh has a port of its own, and knows nothing of the path that a web server puts before the forge.
      if (repository.host.toLowerCase() !== forge.hostname.replace(/^\[|\]$/g, '')) break
      return ownerAndName(sshPath(repository.url))
    default:
      repository satisfies never
  }
  throw new WrongValue(`GATEWAY_REPO is ${repository.label}, which does not lie below ${forgeUrl}`)
}

function sshPath(url: string): string {
  if (url.startsWith('ssh://')) return new URL(url).pathname
  return /^(?:[^@/:]+@)?(?:[^@/:]+|\[[0-9a-f:]+\]):(.+)$/i.exec(url)?.[1] ?? ''
}

function ownerAndName(path: string): string {
  const [, repository] = /^\/?([^/]+\/[^/]+?)(?:\.git)?\/?$/.exec(path) ?? []
  if (repository === undefined) throw new WrongValue(`GATEWAY_REPO ends with "${path}", allowed is <owner>/<name>.git`)
  return repository
}
