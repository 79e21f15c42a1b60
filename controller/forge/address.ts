import { WrongValue } from '../config/variable.ts'
import { readRepository } from '../source/repository.ts'

/** A repository on its forge, and who speaks for us there. */
export interface OnForge {
  /** Base URL, as this machine reaches it. */
  readonly url: string
  readonly token: string
  /** `owner/name`. */
  readonly repository: string
}

interface Given {
  readonly repo: string
  readonly url: string | undefined
  readonly token: string | undefined
}

/** What is wrong with what was given of a forge, a line each. */
export function forgeFaults({ repo, url, token }: Given): readonly string[] {
  if (url === undefined && token === undefined) return []
  if (url === undefined) return ['GATEWAY_FORGE_URL: not given, required beside GATEWAY_FORGE_TOKEN']
  if (token === undefined) return ['GATEWAY_FORGE_TOKEN: not given, required beside GATEWAY_FORGE_URL']
  try {
    locateOnForge(repo, url)
    return []
  } catch (error) {
    if (error instanceof WrongValue) return [`GATEWAY_FORGE_URL: ${error.message}`]
    throw error
  }
}

/** Undefined where no forge was given. Throws `WrongValue` where the repository does not lie there. */
export function forgeOf({ repo, url, token }: Given): OnForge | undefined {
  return url === undefined || token === undefined ? undefined : { url, token, repository: locateOnForge(repo, url) }
}

/** `owner/name` of the repository on the forge. Throws `WrongValue` where it does not lie there. */
function locateOnForge(repo: string, forgeUrl: string): string {
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
      return ownerAndName(repository.path)
    default:
      repository satisfies never
  }
  throw new WrongValue(`GATEWAY_REPO is ${repository.label}, which does not lie below ${forgeUrl}`)
}

function ownerAndName(path: string): string {
  const [, repository] = /^\/?([^/]+\/[^/]+?)(?:\.git)?\/?$/.exec(path) ?? []
  if (repository === undefined) throw new WrongValue(`GATEWAY_REPO ends with "${path}", allowed is <owner>/<name>.git`)
  return repository
}
