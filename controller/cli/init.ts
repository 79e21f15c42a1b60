import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { Fault } from './fault.ts'
import { printJson } from './print.ts'
import { createToken, describeTokenUse, hashToken } from './token.ts'

const agent = 'agent-a'

export function addInit(program: Command): void {
  program
    .command('init')
    .description('a new gateway repository: one agent, one server to begin with, and the check of pull requests')
    .argument('<dir>', 'folder to make, or one without manifests/')
    .option('--json', 'as JSON')
    .action(async (folder: string, options: { readonly json?: boolean }) => {
      const token = createToken()
      const written = await init(resolve(folder), hashToken(token))
      if (options.json) return printJson({ agent, token, files: written })
      process.stdout.write(`${token}\n`)
      const steps = `made in ${folder}: ${written.join(', ')}\n\nThe token of ${agent} is on stdout, and nowhere else.`
      process.stderr.write(`${steps}\n\n${describeTokenUse()}\n`)
    })
}

/** Writes the files; gives their paths. Throws a Fault where one of them is there already. */
async function init(folder: string, hash: string): Promise<readonly string[]> {
  if (existsSync(join(folder, 'manifests'))) throw new Fault(`${folder} has manifests/ already`)
  const files = Object.entries(filesOf(hash))
  const taken = files.find(([path]) => existsSync(join(folder, path)))
  if (taken !== undefined) throw new Fault(`${join(folder, taken[0])} is there already`)
  try {
    for (const [path, text] of files) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeFile(join(folder, path), text, { flag: 'wx' })
    }
  } catch (cause) {
    throw new Fault(`${folder} cannot be written: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
  return files.map(([path]) => path)
}

function filesOf(hash: string): Readonly<Record<string, string>> {
  return {
    'manifests/permissions.yaml': `# Who may call what. "gateway token new NAME" prints a token, and the lines to add here.
agents:
  ${agent}:
    token_hash: "${hash}"
    servers: [hello]
`,
    'manifests/servers/hello.yaml': `# The file's name is the server's name. Every key: "gateway validate" answers what it does not know.
description: Greets whoever calls it
build: servers/hello
command: [node, main.mjs]
`,
    'servers/hello/Dockerfile': `FROM node:24-bookworm-slim
WORKDIR /app
COPY main.mjs .
CMD ["node", "main.mjs"]
`,
    'servers/hello/main.mjs': helloServer,
    '.forgejo/workflows/gateway.yaml': workflow,
  }
}

/** The image that \`docker compose build\` makes has the program on its PATH. */
const workflow = `# Whether what a pull request asks for would be taken, before anybody merges it. Require it in the branch's protection as
# "gateway / validate (pull_request)". The image is the one that the gateway's own docker compose builds, on the runner's
# machine; without it, run "npx --no-install gateway validate" in a checkout of the gateway.
name: gateway
on:
  pull_request:
jobs:
  validate:
    runs-on: docker
    container:
      image: commons-gateway
    steps:
      - uses: actions/checkout@v4
        with:
          persist-credentials: false
      - run: gateway validate
`

const helloServer = `import { createServer } from 'node:http'

// The least that is an MCP server over HTTP: one tool, no sessions. An SDK does more of it for you.
const tool = {
  name: 'greet',
  description: 'Greets somebody by name',
  inputSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
}

function answer({ method, params }) {
  switch (method) {
    case 'initialize':
      return {
        protocolVersion: params.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: 'hello', version: '1.0.0' },
      }
    case 'ping':
      return {}
    case 'tools/list':
      return { tools: [tool] }
    case 'tools/call':
      return { content: [{ type: 'text', text: \`Hello, \${params.arguments?.name ?? 'you'}!\` }] }
  }
}

const server = createServer(async (request, response) => {
  if (request.method !== 'POST' || request.url !== '/mcp') return response.writeHead(405).end()
  try {
    let body = ''
    for await (const part of request) body += part
    const message = JSON.parse(body)
    if (message.id === undefined) return response.writeHead(202).end()
    const result = answer(message)
    const error = { code: -32601, message: \`no method \${message.method}\` }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ jsonrpc: '2.0', id: message.id, ...(result ? { result } : { error }) }))
  } catch {
    response.writeHead(400).end()
  }
})
server.listen(Number(process.env.PORT ?? 3000), process.env.HOST ?? '0.0.0.0')
process.once('SIGTERM', () => server.close())
`
