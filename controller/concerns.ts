import type { Status } from '#manifests/status.ts'

/** Something beside commit, servers and proxies that people should know, in words. */
export interface Concern {
  readonly what: string
  readonly is: string
  readonly isBad: boolean
}

/** What does not work of all that a gateway depends on, who is let in whatever its repository says, and what is good to know. */
export function concernsOf({ source, host, forge, webhook, breakGlass, remarks = [] }: Status): readonly Concern[] {
  const broken = Object.entries({ repository: source, host, forge, webhook }).flatMap(([what, part]) =>
    part === undefined || part.ok ? [] : [{ what, is: part.reason, isBad: true }],
  )
  const glass = breakGlass && { what: 'break-glass file', is: breakGlass.reason, isBad: !breakGlass.ok }
  return [...broken, ...(glass ? [glass] : []), ...remarks.map((is) => ({ what: 'host', is, isBad: false }))]
}
