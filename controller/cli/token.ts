import { createHash, randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import type { Command } from 'commander'
import { AgentName } from '#manifests/name.ts'
import { describeCall, describeClient } from './client.ts'
import { Fault } from './fault.ts'
import { printJson } from './print.ts'

export function addToken(program: Command): void {
  const token = program.command('token').description('make and hash the tokens of agents')
  token
    .command('new')
    .description('a new token on stdout, and on stderr what to commit and what to tell the client')
    .argument('<agent>', 'name of the agent')
    .option('--json', 'token and hash as JSON')
    .action((agent: string, options: { readonly json?: boolean }) => {
      const named = AgentName.safeParse(agent)
      if (!named.success) throw new Fault(named.error.issues.map(({ message }) => message).join('; '))
      const made = createToken()
      const hash = hashToken(made)
      if (options.json) return printJson({ agent, token: made, token_hash: hash })
      process.stdout.write(`${made}\n`)
      process.stderr.write(`\n${describeUse(agent, hash)}`)
    })
  token
    .command('hash')
    .description('the hash to commit, of a token on stdin')
    .option('--json', 'as JSON')
    .action(async (options: { readonly json?: boolean }) => {
      const hash = hashToken(readToken(await buffer(process.stdin)))
      if (options.json) printJson({ token_hash: hash })
      else process.stdout.write(`${hash}\n`)
    })
}

/** `cgw_` and 256 random bits. */
export function createToken(): string {
  return `cgw_${randomBytes(32).toString('base64url')}`
}

/** As `token_hash` of `permissions.yaml` has it. */
export function hashToken(token: string): string {
  return `sha256:${createHash('sha256').update(token).digest('hex')}`
}

/** `echo` and most editors end a line that is none of the token's. */
function readToken(input: Buffer): string {
  const token = input.toString('utf8').replace(/\r?\n$/, '')
  if (token === '') throw new Fault('there is no token on stdin')
  if (/\s/.test(token)) throw new Fault('a token has no white space, but what is on stdin has')
  return token
}

function describeUse(agent: string, hash: string): string {
  return `# Commit this to manifests/permissions.yaml, below agents:
  ${agent}:
    token_hash: "${hash}"
    servers: []              # names of servers, or "*" for every one

${describeTokenUse()}
`
}

/** What a client needs, where TOKEN holds its token. */
export function describeTokenUse(): string {
  const endpoint = process.env.GATEWAY_URL?.replace(/\/+$/, '') ?? 'http://localhost:3100'
  return ['# For the client, where TOKEN holds the token:', describeCall(endpoint), describeClient(endpoint)].join('\n')
}
