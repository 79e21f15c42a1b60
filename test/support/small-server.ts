import { z } from 'zod'
import { post } from './clients.ts'
import { baseImage } from './machine.ts'
import type { Change } from './repository.ts'

/**
 * An MCP server without packages, so that every host has it running in a moment: `word` gives WORD of its environment,
 * `note` adds a line to a file in the folder NOTES, and `notes` gives that file; `slow` gives WORD after some seconds; `variables`
 * gives its whole environment.
 */
export const smallProgram = `
import { appendFileSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { PORT, HOST, WORD = 'nothing', NOTES = '.' } = process.env
const tools = {
  word: () => WORD,
  note: ({ text }) => appendFileSync(NOTES + '/notes', text + '\\n') ?? 'noted',
  slow: ({ seconds }) => new Promise((done) => setTimeout(done, seconds * 1000, WORD)),
  notes: () => readFileSync(NOTES + '/notes', 'utf8'),
  variables: () => JSON.stringify(process.env),
}

async function answer({ method, params }) {
  switch (method) {
    case 'initialize':
      return { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'small', version: '1' } }
    case 'tools/list':
      return { tools: Object.keys(tools).map((name) => ({ name, inputSchema: { type: 'object' } })) }
    case 'tools/call':
      return { content: [{ type: 'text', text: await tools[params.name](params.arguments ?? {}) }] }
  }
}

createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  if (body === '') return response.writeHead(405).end()
  const { id, ...asked } = JSON.parse(body)
  if (id === undefined) return response.writeHead(202).end()
  const result = await answer(asked)
  const said = result === undefined ? { error: { code: -32601, message: 'no such method' } } : { result }
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, ...said }))
}).listen(Number(PORT), HOST, () => console.log('says ' + WORD))
`

const Answer = z.object({ result: z.object({ content: z.tuple([z.object({ text: z.string() })]) }) })

export interface SmallServer {
  /** What `word` answers. */
  readonly word: string
  /** Lines of its manifest beside the usual ones. */
  readonly manifest?: string
  /** Variables beside WORD. */
  readonly env?: Readonly<Record<string, string>>
  /** Another program in its place. */
  readonly program?: string
  /** What an engine builds it from; without one it is for the process host alone. */
  readonly dockerfile?: string
}

/** Builds in a moment wherever the base image is there. */
export const smallDockerfile = `FROM ${baseImage}\nWORKDIR /app\nCOPY main.mjs .\n`

/** What a commit has of it: its manifest and its folder. */
export function smallServer(name: string, small: SmallServer): Record<string, Change> {
  const env = { WORD: small.word, ...small.env }
  return {
    [`manifests/servers/${name}.yaml`]: [
      `description: says ${small.word}`,
      'command: [node, main.mjs]',
      'drain: 2s',
      `env: ${JSON.stringify(env)}`,
      small.manifest ?? '',
      '',
    ].join('\n'),
    [`servers/${name}/Dockerfile`]: small.dockerfile ?? 'FROM scratch\n',
    [`servers/${name}/main.mjs`]: small.program ?? smallProgram,
  }
}

export type Post = (
  url: string,
  token: string,
  body: object,
) => Promise<{ readonly status: number; readonly body: unknown }>

/** Calls a tool of a small server and gives the text of its answer; throws for any other answer. */
export async function callSmall(
  url: string,
  token: string,
  name: string,
  args: object = {},
  send: Post = post,
): Promise<string> {
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } }
  const { status, body } = await send(url, token, call)
  const answer = Answer.safeParse(body)
  if (status !== 200 || !answer.success) throw new Error(`HTTP ${status} ${JSON.stringify(body)}`)
  return answer.data.result.content[0].text
}
