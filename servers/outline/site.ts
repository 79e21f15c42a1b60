import { ToolFailure } from '../kit/tool.ts'
import { uuid } from './input.ts'
import type { Settings } from './settings.ts'

/** Where people open the wiki. */
export interface Site {
  /** The whole address of a path that Outline gives. */
  readonly link: (path: string) => string
  /**
   * What Outline takes for a document's id, from all that people and models have of it: its UUID, the id at the end of
   * its address, or the address. @throws ToolFailure for anything else, and for another wiki's address.
   */
  readonly documentId: (given: string) => string
}

/** `runbook-bot-restart-jsckoBDRDh`, or its end alone. */
const slug = /^(?:[\w~%.-]*-)?([a-zA-Z0-9]{10,15})$/

export function createSite({ OUTLINE_API_URL, OUTLINE_WEB_URL }: Settings): Site {
  const home = new URL(OUTLINE_WEB_URL ?? OUTLINE_API_URL.replace(/\/api$/, '/'))
  const hosts = new Set([home.host, new URL(OUTLINE_API_URL).host])
  return {
    link: (path) => new URL(path, home).href,
    documentId: (given) => idIn(given.includes('/') ? segmentOf(given, { home, hosts }) : given),
  }
}

function idIn(text: string): string {
  if (uuid.test(text)) return text
  const [, id] = slug.exec(text) ?? []
  if (id !== undefined) return id
  throw new ToolFailure(
    `"${text.slice(0, 100)}" names no document. Give its id (a UUID), its address, or the end of that, such as runbook-jsckoBDRDh; search_documents finds them.`,
  )
}

interface Home {
  readonly home: URL
  readonly hosts: ReadonlySet<string>
}

/** The part of an address that names the document: behind it may come `/edit`, `/history/…`, a query or a heading. */
function segmentOf(given: string, { home, hosts }: Home): string {
  const text = /^(\/|https?:\/\/)/i.test(given) ? given : `https://${given}`
  const url = URL.canParse(text, home.href) ? new URL(text, home) : undefined
  if (url === undefined) throw new ToolFailure(`"${given.slice(0, 100)}" is no address of a document.`)
  if (!hosts.has(url.host))
    throw new ToolFailure(
      `This address leads to ${url.host}, and this server reads ${home.host} alone. If both are the same wiki, whoever runs the server sets OUTLINE_WEB_URL.`,
    )
  const [, segment] = /\/doc\/([^/]+)/.exec(url.pathname) ?? []
  if (segment !== undefined) return segment
  throw new ToolFailure(`${url.pathname} is no document’s address: that has /doc/ in it.${hintFor(url.pathname)}`)
}

function hintFor(path: string): string {
  return path.startsWith('/collection/') ? ' It is a collection’s: list_collections and list_collection_documents.' : ''
}
