/**
 * Every way in which a proxy says no: HTTP status, JSON-RPC code, and words with `{names}` to fill in.
 * Status 200 is an answer in-band; a 0 code is a body that is not JSON-RPC, because clients that look for OAuth read it.
 */
export const refusals = {
  starting: {
    status: 503,
    code: -32000,
    words: 'The gateway is starting and has no table of agents and servers so far; try again',
  },
  host: {
    status: 403,
    code: -32000,
    words: 'The host name "{host}" is not this gateway\'s: use its address, localhost, or the host name of GATEWAY_URL',
  },
  origin: { status: 403, code: -32000, words: 'Requests from the origin "{origin}" are not accepted' },
  'token-missing': {
    status: 401,
    code: -32000,
    words: 'Unauthorized: send Authorization: Bearer <agent token>; agents and their tokens are listed in {file}',
  },
  'token-unknown': {
    status: 401,
    code: -32000,
    words:
      "Unauthorized: this token is unknown or revoked; the SHA-256 of an agent's token must stand at its token_hash in {file}",
  },
  'token-newline': {
    status: 401,
    code: -32000,
    words:
      'Unauthorized: the token_hash of {agent} in {file} was made of the token and a trailing newline; replace it with sha256:{hash}',
  },
  'token-expired': {
    status: 401,
    code: -32000,
    words:
      'Unauthorized: the token of {agent} expired, its last day was {expires}; extend "expires" of {agent} in {file}',
  },
  'not-found': { status: 404, code: 0, words: 'not_found' },
  method: {
    status: 405,
    code: -32000,
    words: 'Method not allowed: POST JSON-RPC here; GET and DELETE need an Mcp-Session-Id',
  },
  'media-type': {
    status: 415,
    code: -32000,
    words: "Content-Type must be application/json; with curl add -H 'Content-Type: application/json'",
  },
  'too-large': { status: 413, code: -32000, words: 'The request body has more than {limit} bytes' },
  'body-cut': { status: 400, code: -32700, words: 'The request body ended early' },
  parse: { status: 400, code: -32700, words: 'Parse error: the request body is not valid JSON' },
  'double-key': { status: 400, code: -32600, words: 'Invalid request: the key "{key}" stands twice in {where}' },
  'not-rpc': { status: 400, code: -32600, words: 'Invalid request: the request body is not a JSON-RPC message' },
  batch: { status: 400, code: -32600, words: 'Invalid request: {why}' },
  'batch-refused': { status: 200, code: -32600, words: 'Not sent, because another message of this batch was refused' },
  envelope: { status: 400, code: -32602, words: 'Invalid params: {why}' },
  'header-mismatch': { status: 400, code: -32020, words: 'Header mismatch: {why}' },
  version: { status: 400, code: -32022, words: 'Unsupported protocol version: {requested}' },
  'version-header': { status: 400, code: -32000, words: 'Bad Request: unsupported MCP-Protocol-Version {requested}' },
  'not-acceptable': {
    status: 406,
    code: -32000,
    words: 'Not Acceptable: a stream is asked for with Accept: text/event-stream',
  },
  event: { status: 400, code: -32000, words: 'Bad Request: there is no stream with this Last-Event-ID' },
  'stream-taken': { status: 409, code: -32000, words: 'Conflict: this stream is open already; a session has one' },
  session: { status: 404, code: -32001, words: 'Session not found' },
  sessions: {
    status: 429,
    code: -32000,
    words: 'Too many sessions: all {count} of them are in use; end some with DELETE',
  },
  'unknown-method': { status: 200, code: -32601, words: 'Method not found: {method}' },
  'unknown-tool': { status: 200, code: -32602, words: 'Unknown tool: {name}' },
  'tool-changed': {
    status: 200,
    code: -32602,
    words:
      '{server} has changed its tool {name} since it was reviewed, so it is blocked; a commit of what "gateway lock {server}" writes to {file} lets it be called again',
  },
  'tool-new': {
    status: 200,
    code: -32602,
    words:
      'The tool {name} of {server} was never reviewed, so it is blocked; a commit of what "gateway lock {server}" writes to {file} lets it be called',
  },
  'unknown-prompt': { status: 200, code: -32602, words: 'Unknown prompt: {name}' },
  'unknown-resource': { status: 200, code: -32602, words: 'Resource not found: {name}' },
  params: { status: 200, code: -32602, words: 'Invalid params: {why}' },
  replaced: { status: 200, code: -32603, words: '{server} is being replaced, try again' },
  down: { status: 200, code: -32603, words: '{server} does not answer, try again later' },
  credential: {
    status: 200,
    code: -32603,
    words:
      '{server} refuses the credential that the gateway sends it ({why}); whoever runs the gateway can put that right',
  },
  'no-credential': {
    status: 200,
    code: -32603,
    words:
      '{server} refuses the gateway, which sends it no credential ({why}); whoever runs the gateway can put that right',
  },
  answer: { status: 200, code: -32603, words: '{server} gave an answer that is not MCP ({why})' },
  timeout: { status: 200, code: -32603, words: '{server} did not finish within {seconds} s' },
  resting: {
    status: 200,
    code: -32603,
    words: '{server} did not answer several times and is not asked now; try again in {seconds} s',
  },
  budget: {
    status: 200,
    code: -32603,
    words: 'The budget "{budget}" of {server} is used up: {calls}, shared by all agents; it comes back at {at}',
  },
  uncounted: {
    status: 200,
    code: -32603,
    words: 'Nothing was sent to {server}: its budgets cannot be counted now; try again',
  },
  input: {
    status: 200,
    code: -32603,
    words:
      '{server} asks for input for this call, which this client does not offer or did not give; connect with a session and offer elicitation, sampling or roots',
  },
  capability: { status: 400, code: -32021, words: '{server} needs a capability that this client does not offer' },
  unfinished: {
    status: 200,
    code: -32603,
    words:
      'This call of {server} was begun and not finished: the proxy at which it waited for its client was replaced. It is not begun again by what the client brings',
  },
  ended: { status: 200, code: -32603, words: 'The call was ended: {why}' },
  loop: {
    status: 508,
    code: -32603,
    words:
      'This request comes from this gateway, or through too many: one of the servers of a gateway leads back to it',
  },
  internal: { status: 500, code: -32603, words: 'Internal error of the gateway' },
} as const satisfies Record<string, { readonly status: number; readonly code: number; readonly words: string }>

export type RefusalName = keyof typeof refusals
export type About = Readonly<Record<string, string>>
interface More {
  readonly data?: unknown
  readonly cause?: unknown
}

/** The agent did something that is not done, or the answer that it wants cannot be had. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly refusal: RefusalName
  readonly about: About
  /** `data` of the JSON-RPC error. */
  readonly data: unknown
  constructor(refusal: RefusalName, about: About = {}, more: More = {}) {
    super(
      refusals[refusal].words.replaceAll(/\{(\w+)\}/g, (_, key: string) => about[key] ?? ''),
      { cause: more.cause },
    )
    this.refusal = refusal
    this.about = about
    this.data = more.data
  }

  get status(): number {
    return refusals[this.refusal].status
  }

  /** Its body as JSON text; `id` is the JSON text of the request's id. */
  body(id = 'null'): string {
    const { code } = refusals[this.refusal]
    if (code === 0) return JSON.stringify({ error: this.message })
    return errorText(id, { code, message: this.message, data: this.data })
  }
}

/** A JSON-RPC error response; `id` is JSON text. */
export function errorText(id: string, error: { code: number; message: string; data?: unknown }): string {
  return `{"jsonrpc":"2.0","id":${id},"error":${JSON.stringify(error)}}`
}
