/**
 * URIs on the joint endpoint begin with their server, `<server>+<uri>`, so that two servers may have the same. What a client may
 * fetch by itself (`http:`, `https:`) stays as it is, and `ui:` keeps its scheme.
 */
const fetched = /^https?:/i
const ui = 'ui://'

/** What the URIs of a server begin with; empty where the manifest takes the prefix away. */
export function uriLead(server: string, prefix: string): string {
  if (prefix === '') return ''
  // A scheme begins with a letter; no server's name has a dot.
  return /^[a-z]/.test(server) ? server : `x.${server}`
}

/** A server's URI, or template of URIs, as the joint endpoint shows it. */
export function jointUri(lead: string, uri: string): string {
  if (lead === '' || fetched.test(uri)) return uri
  return uri.startsWith(ui) ? `${ui}${lead}+${uri.slice(ui.length)}` : `${lead}+${uri}`
}

/** The server's own URI; undefined where it says by itself that it is another's. */
export function ownUri(lead: string, uri: string): string | undefined {
  if (lead === '' || fetched.test(uri)) return uri
  const begin = uri.startsWith(ui) ? `${ui}${lead}+` : `${lead}+`
  if (!uri.startsWith(begin)) return undefined
  return uri.startsWith(ui) ? ui + uri.slice(begin.length) : uri.slice(begin.length)
}

/** Whether a template (RFC 6570) may have made a URI, by what is fixed in it. */
export function mayMake(template: string, uri: string): boolean {
  const parts = template.split(/\{[^}]*\}/)
  let at = 0
  for (const [index, part] of parts.entries()) {
    const found = index === 0 ? (uri.startsWith(part) ? 0 : -1) : uri.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return parts.at(-1) === '' || uri.endsWith(parts.at(-1) ?? '')
}
