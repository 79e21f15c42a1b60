import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { compile } from '../../controller/compile.ts'
import { describeFault } from '../../controller/desired.ts'
import { type TreeFile, treeOf } from '../support/tree.ts'

const hashOf = (token: string) => `sha256:${createHash('sha256').update(`${token} of a test`).digest('hex')}`
const agents = `agents:\n  agent-a:\n    token_hash: "${hashOf('a')}"\n    servers: ["*"]\n`
const wiki = { 'servers/wiki/Dockerfile': 'FROM scratch\n', 'servers/wiki/main.ts': '//\n' }

async function desired(files: Readonly<Record<string, TreeFile>>) {
  const compiled = await compile(treeOf(files))
  if (!compiled.ok) throw new Error(compiled.faults.map(describeFault).join('\n'))
  return compiled.desired
}

async function lines(files: Readonly<Record<string, TreeFile>>) {
  const compiled = await compile(treeOf(files))
  return compiled.ok ? [] : compiled.faults.map(describeFault)
}

describe('compile', () => {
  test('accepts the permissions file of the existing gateway as it stands', async () => {
    const { servers, agents } = await desired({
      'manifests/permissions.yaml': `agents:
  agent-a:
    token_hash: "${hashOf('a')}"
    servers: ["*"]
  agent-b:
    token_hash: "${hashOf('b')}"
    servers: [legacy-wiki]
servers:
  legacy-wiki:
    url: "http://wiki.lan:3000/mcp"
    description: "Outline wiki search"
  5etools:
    url: "http://5etools.lan:3000/mcp"
    description: "5e"
`,
    })
    expect(Object.keys(servers)).toEqual(['5etools', 'legacy-wiki'])
    expect(servers['5etools']?.prefix).toBe('_5etools')
    expect(servers['legacy-wiki']?.runs).toEqual({ kind: 'url', url: 'http://wiki.lan:3000/mcp' })
    expect(agents['agent-a']?.through).toEqual(['5etools', 'legacy-wiki'])
    expect(Object.keys(agents['agent-b']?.grants ?? {})).toEqual(['legacy-wiki'])
  })

  test('names the place, what was found and the nearest name', async () => {
    const permissions = `agents:
  agent-b:
    token_hash: "${hashOf('b')}"
    servers:
      - 5etool
`
    expect(
      await lines({
        'manifests/permissions.yaml': permissions,
        'manifests/servers/5etools.yaml': 'url: http://x.lan/mcp\n',
      }),
    ).toEqual([
      'manifests/permissions.yaml:5:9 agents.agent-b.servers[0]: unknown server "5etool" (did you mean "5etools"?)',
    ])
  })

  test('fills in every default of a server', async () => {
    const { servers } = await desired({
      'manifests/permissions.yaml': agents,
      'manifests/servers/wiki.yaml': '',
      ...wiki,
    })
    expect(servers.wiki).toMatchObject({
      name: 'wiki',
      description: '',
      port: 3000,
      path: '/mcp',
      start: 60_000,
      timeout: 60_000,
      drain: 60_000,
      env: {},
      secrets: {},
      volumes: [],
      mounts: [],
      limits: { memory: 512 * 1024 ** 2, cpus: 1, pids: 256 },
      egress: true,
      tmpfs: ['/tmp'],
      seccomp: 'default',
      prefix: 'wiki',
      loosens: [],
      runs: {
        kind: 'build',
        input: { context: 'servers/wiki', dockerfile: { path: 'Dockerfile' }, paths: [], args: {} },
      },
    })
  })
})
