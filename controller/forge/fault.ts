/** Nobody need act: the forge or the way to it is not well, and may be asked again. */
export class ForgeDown extends Error {
  override readonly name = 'ForgeDown'
  /** How long the forge wants to be left alone, ms. */
  readonly wait: number | undefined
  /** HTTP status of its answer, where there was one. */
  readonly status: number | undefined
  constructor(message: string, options: ErrorOptions & { readonly wait?: number; readonly status?: number } = {}) {
    super(message, options)
    this.wait = options.wait
    this.status = options.status
  }
}

/** Somebody must act before the same question is worth asking again; the message says who and what. */
export class ForgeRefusal extends Error {
  override readonly name = 'ForgeRefusal'
  readonly status: number
  constructor(message: string, status: number) {
    super(message)
    this.status = status
  }
}

/** What a call needs: a scope of its token, and a right of the token's user on the repository. */
export interface Need {
  readonly scope: 'read:repository' | 'write:repository' | 'read:issue' | 'write:issue'
  readonly right: 'read' | 'write'
}

/** A refused call, as a fault can tell of it. */
export interface Refused {
  /** As `POST statuses`. */
  readonly call: string
  /** Base URL of the forge. */
  readonly url: string
  readonly repository: string
  readonly need: Need
  readonly status: number
  /** The forge's own words; `` if there were none. */
  readonly said: string
}

/** Who must act on a refusal, in one line. Pure. */
export function describeRefusal(refused: Refused): string {
  const { call, repository, status, said } = refused
  const answer = said === '' ? `${status}` : `${status} ${JSON.stringify(said.slice(0, 200))}`
  switch (status) {
    case 401:
      return `the forge does not know the token (${answer}): give GATEWAY_FORGE_TOKEN one that is neither revoked nor expired`
    case 403:
      return `${call} is forbidden (${answer}): ${missing(refused)}`
    case 404:
      return `${call}: not found (${answer}): ${repository} has no such thing, or the user of GATEWAY_FORGE_TOKEN may not see it`
    default:
      return `${call} was refused (${answer})`
  }
}

/** Forgejo says which of the two it is, others perhaps not. */
function missing({ url, repository, need, said }: Refused): string {
  const scope = `the scope ${need.scope} for ${repository} (given when a token is made, at ${url}/user/settings/applications)`
  const right = `the right to ${need.right} ${repository} (given at ${url}/${repository}/settings/collaboration)`
  if (/required scope/.test(said)) return `GATEWAY_FORGE_TOKEN needs ${scope}`
  if (/^user should/.test(said)) return `the user of GATEWAY_FORGE_TOKEN needs ${right}`
  return `GATEWAY_FORGE_TOKEN needs ${scope}, and its user ${right}`
}
