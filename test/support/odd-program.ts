import { spawn } from 'node:child_process'
import { closeSync, readFileSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

/**
 * A program that speaks MCP on stdin and stdout, and does what programs do that were never meant to be served: its tools are
 * named after it, its arguments say how it begins. Uses no library, so that it can be as wrong as it likes.
 */
const habits = new Set(process.argv.slice(2))
const say = (message: object) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
const text = (id: unknown, value: string, more: object = {}) =>
  say({ id, result: { content: [{ type: 'text', text: value }], ...more } })
const asked = new Map<string, unknown>()
const cancelled: unknown[] = []
let calls = 0

if (habits.has('--dies')) {
  process.stderr.write('cannot find my database\n')
  process.exit(3)
}
if (habits.has('--banner')) process.stdout.write('Welcome to the program!\n\n* listening on stdio\n')
if (habits.has('--logs'))
  for (let line = 0; line < 50; line++) process.stdout.write(`INFO line ${line} ${process.env.SECRET}\n`)
if (habits.has('--stubborn')) for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {})
if (habits.has('--stubborn')) setInterval(() => {}, 1_000)

type Args = Readonly<Record<string, unknown>>
const sleep = (ms: unknown) => new Promise((done) => setTimeout(done, Number(ms)))

const tools: Readonly<Record<string, (id: unknown, args: Args, token: unknown) => unknown>> = {
  echo: (id, { value }) => text(id, String(value)),
  count: (id) => text(id, `${++calls}`),
  reads: (id, { path }) => text(id, readFileSync(String(path), 'utf8')),
  writes: (id, { path }) => {
    try {
      writeFileSync(String(path), '')
      text(id, 'written')
    } catch (error) {
      text(id, String(error))
    }
  },
  pid: (id) => text(id, `${process.pid}`),
  env: (id) => text(id, JSON.stringify(process.env)),
  cancelled: (id) => text(id, JSON.stringify(cancelled)),
  slow: async (id, { ms, value }) => {
    await sleep(ms)
    text(id, String(value))
  },
  never: () => {},
  twice: (id) => {
    text(id, 'first')
    text(id, 'second')
  },
  dies: () => process.kill(process.pid, 'SIGKILL'),
  exits: () => {
    process.stderr.write(`out of luck, with ${process.env.SECRET}\n`)
    process.exit(4)
  },
  rubbish: (id, { lines }) => {
    for (let line = 0; line < Number(lines); line++) process.stdout.write(`not json ${line}\n`)
    text(id, 'done')
  },
  long: (id, { bytes, letter }) => text(id, String(letter ?? 'x').repeat(Number(bytes))),
  stderr: (id, { bytes }) => {
    for (let left = Number(bytes); left > 0; left -= 1_000) process.stderr.write(`${'e'.repeat(999)}\n`)
    text(id, 'done')
  },
  flood: (id, { count, bytes }) => {
    const data = 'f'.repeat(Number(bytes))
    for (let n = 0; n < Number(count); n++) say({ method: 'notifications/message', params: { level: 'info', data } })
    text(id, 'done')
  },
  progress: async (id, { steps }, token) => {
    for (let progress = 1; progress <= Number(steps); progress++) {
      say({ method: 'notifications/progress', params: { progressToken: token, progress } })
      await sleep(5)
    }
    text(id, 'done')
  },
  asks: (id) => {
    const question = `q${asked.size}`
    asked.set(question, id)
    const params = {
      message: 'Your name?',
      requestedSchema: { type: 'object', properties: { name: { type: 'string' } } },
    }
    say({ id: question, method: 'elicitation/create', params })
  },
  changes: (id) => {
    say({ method: 'notifications/tools/list_changed' })
    text(id, 'done')
  },
  closes: (id, { stream }) => {
    setInterval(() => {}, 1_000)
    closeSync(stream === 'stdin' ? 0 : 1)
    if (stream === 'stdin') text(id, 'closed')
  },
  forks: (id, { detached }) => {
    const child = spawn('/bin/sh', ['-c', 'trap "" TERM HUP; while :; do sleep 1; done'], {
      detached: detached === true,
      stdio: detached === true ? 'ignore' : 'inherit',
    })
    child.unref()
    text(id, `${child.pid}`)
  },
}

const methods: Readonly<Record<string, (id: unknown, params: Args) => unknown>> = {
  initialize: (id, { protocolVersion, capabilities }) =>
    say({
      id,
      result: {
        protocolVersion,
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: 'odd', version: '1', capabilities },
      },
    }),
  ping: (id) => say({ id, result: {} }),
  'tools/list': (id) =>
    say({ id, result: { tools: Object.keys(tools).map((name) => ({ name, inputSchema: { type: 'object' } })) } }),
  'tools/call': (id, params) => {
    const tool = tools[String(params.name)]
    const { progressToken } = (params._meta ?? {}) as Args
    if (tool === undefined) return say({ id, error: { code: -32602, message: `Unknown tool: ${params.name}` } })
    return tool(id, (params.arguments ?? {}) as Args, progressToken)
  },
}

if (!habits.has('--silent'))
  createInterface(process.stdin).on('line', (line) => {
    const message = JSON.parse(line)
    const { id, method, params = {}, result } = message
    if (method === 'notifications/cancelled') cancelled.push(params.requestId)
    if (method !== undefined && id !== undefined) {
      const known = methods[method]
      if (known === undefined && habits.has('--ignores')) return
      if (known === undefined) say({ id, error: { code: -32601, message: 'Method not found' } })
      else void known(id, params)
    }
    if (asked.has(id) && method === undefined) text(asked.get(id), JSON.stringify(result))
  })
