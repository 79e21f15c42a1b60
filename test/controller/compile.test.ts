import { describe, expect, test } from 'vitest'
import { compile } from '../../controller/compile/compile.ts'
import { compilePermissions } from '../../controller/compile/permissions.ts'
import { readYaml } from '../../controller/compile/yaml.ts'
import { describeFault } from '../../controller/desired.ts'
import { agent, permissions, tokenHash, wiki } from '../support/manifest.ts'
import { type TreeFile, treeOf } from '../support/tree.ts'

type Files = Readonly<Record<string, TreeFile>>
const everything = { tools: ['*'], prompts: ['*'], resources: ['*'] }

async function desired(files: Files, commit?: string) {
  const compiled = await compile(treeOf(files, commit))
  if (!compiled.ok) throw new Error(compiled.faults.map(describeFault).join('\n'))
  return compiled.desired
}

async function refused(files: Files) {
  const compiled = await compile(treeOf(files))
  if (compiled.ok) throw new Error('nothing was refused')
  return { lines: compiled.faults.map(describeFault), agents: compiled.agents }
}

async function server(text: string, more: Files = {}) {
  const { servers } = await desired(wiki(text, more))
  return servers.wiki!
}

describe('a server', () => {
  test('has every default where its file says nothing', async () => {
    expect(await server('')).toMatchObject({
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

  test('has what its file says, times in ms and memory in bytes', async () => {
    const found = await server(`description: Search
build: { context: ., paths: [servers/wiki], dockerfile: servers/wiki/Dockerfile, args: { N: 1.10 }, target: run }
command: [node, main.ts]
port: 8080
path: /mcp/
health: /health
start: 1m30s
timeout: 250ms
drain: 2h
env: { URL: "https://wiki.example", N: 1.10, ON: true, HEX: 0x10 }
secrets: [KEY, { OTHER: NAME }]
volumes: ["data:/data", { source: cache, target: /cache, shared: true }]
mounts: ["personal:/personal"]
limits: { memory: 1g, cpus: 0.5 }
egress: false
user: 0
tmpfs: [/tmp, /run]
seccomp: chromium
prefix: docs
`)
    expect(found).toMatchObject({
      description: 'Search',
      command: ['node', 'main.ts'],
      port: 8080,
      path: '/mcp/',
      health: '/health',
      start: 90_000,
      timeout: 250,
      drain: 7_200_000,
      env: { URL: 'https://wiki.example', N: '1.10', ON: 'true', HEX: '0x10' },
      secrets: { KEY: 'KEY', OTHER: 'NAME' },
      volumes: [
        { source: 'data', target: '/data', shared: false },
        { source: 'cache', target: '/cache', shared: true },
      ],
      mounts: [{ source: 'personal', target: '/personal' }],
      limits: { memory: 1024 ** 3, cpus: 0.5, pids: 256 },
      egress: false,
      user: '0',
      tmpfs: ['/tmp', '/run'],
      prefix: 'docs',
    })
    expect(found.loosens).toEqual([
      'runs as root (user: 0)',
      'may make the system calls that Chromium’s sandbox needs (seccomp: chromium)',
      'two containers may write to its volume "cache" at once (shared: true)',
      'gets the secret KEY',
      'gets the secret NAME as OTHER',
    ])
  })

  test('has budgets, of the tool of their name where they name none', async () => {
    const found = await server(
      'budget: { paint: { calls: 2, per: day }, looks: { tools: [look, watch], calls: 5, per: minute } }\n',
    )
    expect(found.budgets).toEqual({
      paint: { calls: 2, per: 'day', tools: ['paint'] },
      looks: { calls: 5, per: 'minute', tools: ['look', 'watch'] },
    })
    const plain = await server('')
    expect([found.config === plain.config, found.route === plain.route]).toEqual([true, false])
    expect(plain.budgets).toBeUndefined()
  })

  test('runs an image by its digest', async () => {
    const ref = `ghcr.io/x/wiki:1@sha256:${'a1'.repeat(32)}`
    expect((await server(`image: ${ref}\n`)).runs).toEqual({ kind: 'image', ref })
  })

  test('elsewhere has the path of its url', async () => {
    const found = await server('url: https://wiki.example/a/mcp?x=1\n')
    expect(found).toMatchObject({ path: '/a/mcp?x=1', runs: { kind: 'url', url: 'https://wiki.example/a/mcp?x=1' } })
  })

  test('on stdin and stdout has as many programs, for as long, as it says or as is usual', async () => {
    expect((await server('stdio: true\n')).stdio).toEqual({ sessions: 8, idle: 600_000 })
    expect((await server('stdio: { sessions: 2 }\n')).stdio).toEqual({ sessions: 2, idle: 600_000 })
    expect((await server('stdio: { idle: 1m30s }\n')).stdio).toEqual({ sessions: 8, idle: 90_000 })
    expect(await server('stdio: false\n')).not.toHaveProperty('stdio')
  })

  test('has a prefix that begins with _ where its name begins with a digit', async () => {
    const { servers } = await desired(wiki('', { 'manifests/servers/5etools.yaml': 'url: http://x.lan/mcp\n' }))
    expect(servers['5etools']?.prefix).toBe('_5etools')
  })

  test('on the loopback of whoever asks is allowed with a warning', async () => {
    const local = permissions(`${agent('[]')}servers:\n  a: { url: "http://localhost:1/mcp" }\n`, {
      'manifests/servers/b.yaml': 'url: http://[::1]:2/mcp\n',
    })
    const why = 'leads back to the machine or container that asks: the machine itself is host.docker.internal'
    expect((await desired(local)).warnings).toEqual([
      `manifests/permissions.yaml:6:13 servers.a.url: ${why}`,
      `manifests/servers/b.yaml:1:6 url: ${why}`,
    ])
  })

  test('may use the key of a default whose effect this version lacks', async () => {
    expect((await server('budget: {}\ntools: warn\n')).name).toBe('wiki')
  })

  test('may hold ${…} in the text of its Dockerfile, which means something there', async () => {
    const { runs } = await server('build:\n  dockerfile_inline: |\n    ARG N\n    FROM x:${N}\n')
    expect(runs).toMatchObject({ input: { dockerfile: { inline: 'ARG N\nFROM x:${N}\n' } } })
  })
})

describe('the hashes of a server', () => {
  const base = 'description: a\nenv: { A: a, B: b }\n'
  const hashes = async (text: string, more: Files = {}, commit = 'c'.repeat(40)) => {
    const { servers } = await desired(wiki(text, more), commit)
    const { config, route, runs } = servers.wiki!
    return { config, route, build: runs.kind === 'build' ? runs.input.hash : '' }
  }

  test('do not change with the commit, the order of keys, or what is said as a default', async () => {
    const other = 'env: { B: b, A: a }\nport: 3000\ndescription: a\nlimits: { pids: 256 }\n'
    expect(await hashes(other, {}, 'd'.repeat(40))).toEqual(await hashes(base))
  })

  test.each([
    ['command: [x]\n'],
    ['port: 1\n'],
    ['secrets: [KEY]\n'],
    ['secrets: [{ KEY: OTHER }]\n'],
    ['volumes: ["a:/a"]\n'],
    ['mounts: ["a:/a"]\n'],
    ['limits: { cpus: 2 }\n'],
    ['egress: false\n'],
    ['user: 7\n'],
    ['tmpfs: []\n'],
    ['seccomp: chromium\n'],
  ])('tell a container that changed: %s', async (more) => {
    const [before, after] = [await hashes(base), await hashes(base + more)]
    expect(after.config).not.toBe(before.config)
    expect(after).toMatchObject({ route: before.route, build: before.build })
  })

  test.each([['path: /x\n'], ['health: /x\n'], ['start: 1s\n'], ['timeout: 1s\n'], ['drain: 1s\n'], ['prefix: x\n']])(
    'tell a route that changed: %s',
    async (more) => {
      const [before, after] = [await hashes(base), await hashes(base + more)]
      expect(after.route).not.toBe(before.route)
      expect(after).toMatchObject({ config: before.config, build: before.build })
    },
  )

  test.each([
    ['stdio: { sessions: 2 }\n'],
    ['stdio: { idle: 1s }\n'],
    ['stdio: true\npath: /x\n'],
    ['stdio: true\nhealth: /x\n'],
  ])('tell a container that changed where our wrapper serves it: %s', async (more) => {
    const [plain, before, after] = [await hashes(base), await hashes(`${base}stdio: true\n`), await hashes(base + more)]
    expect(new Set([plain.config, before.config, after.config]).size).toBe(3)
    expect(await hashes(`${base}stdio: { sessions: 8, idle: 10m }\n`)).toEqual(before)
  })

  test('tell a build input that changed, and nothing else with it', async () => {
    const [before, after] = [await hashes(base), await hashes(base, { 'servers/wiki/main.ts': '// answers more\n' })]
    expect(after.build).not.toBe(before.build)
    expect(after).toMatchObject({ config: before.config, route: before.route })
  })
})

describe('agents', () => {
  const outside = 'servers:\n  legacy-wiki: { url: "http://wiki.lan:3000/mcp", description: "Outline wiki search" }\n'

  test('of the existing gateway’s permissions file are as it says', async () => {
    const { servers, agents } = await desired(
      permissions(`agents:
  agent-a:
    token_hash: "${tokenHash('a')}"
    servers: ["*"]
  agent-b:
    token_hash: ["${tokenHash('b')}", "${tokenHash('c')}"]
    servers:
      - legacy-wiki
${outside}`),
    )
    expect(servers['legacy-wiki']).toMatchObject({
      runs: { kind: 'url', url: 'http://wiki.lan:3000/mcp' },
      description: 'Outline wiki search',
      path: '/mcp',
    })
    expect(agents).toEqual({
      'agent-a': {
        hashes: [tokenHash('a').slice(7)],
        owner: false,
        grants: { 'legacy-wiki': everything },
        every: true,
        through: ['legacy-wiki'],
      },
      'agent-b': {
        hashes: [tokenHash('b').slice(7), tokenHash('c').slice(7)],
        owner: false,
        grants: { 'legacy-wiki': everything },
        every: false,
        through: [],
      },
    })
  })

  test('may use a part of a server', async () => {
    const text = agent('[{ wiki: ["search_*", read] }, { legacy-wiki: { tools: ["*"], resources: ["*"] } }]', outside)
    const { agents } = await desired(wiki('', permissions(text)))
    expect(agents['agent-a']?.grants).toEqual({
      wiki: { tools: ['search_*', 'read'], prompts: [], resources: [] },
      'legacy-wiki': { tools: ['*'], prompts: [], resources: ['*'] },
    })
  })

  test('with * have every server of the commit, and it is told which only through it', async () => {
    const { agents } = await desired(wiki('', permissions(agent('["*", wiki]', outside))))
    expect(Object.keys(agents['agent-a']!.grants)).toEqual(['legacy-wiki', 'wiki'])
    expect(agents['agent-a']?.through).toEqual(['legacy-wiki'])
  })

  test('that are none are fine', async () => {
    expect((await desired(permissions('agents: {}\n'))).agents).toEqual({})
  })

  test('may be past their last day', async () => {
    const { agents } = await desired(permissions(agent('[]', '    expires: 2001-01-31\n    owner: false\n')))
    expect(agents['agent-a']).toMatchObject({ expires: '2001-01-31', owner: false })
  })

  test('are told although a server’s file is broken, which is known by its name', async () => {
    const { agents, lines } = await refused(wiki('port: x\n', permissions(agent('[wiki]'))))
    expect(lines).toEqual(['manifests/servers/wiki.yaml:1:7 port: expected a number, found "x"'])
    expect(agents?.['agent-a']?.grants).toEqual({ wiki: everything })
  })

  test('are not told where their own file is broken', async () => {
    const { agents } = await refused(permissions(agent('[]', 'x: 1\n')))
    expect(agents).toBeUndefined()
  })
})

describe('a broken commit', () => {
  test('is told all of its faults at once, by file and line', async () => {
    const { lines } = await refused(
      wiki('port: x\nvolumse: []\nsecrets: [GATEWAY_X]\nurl: http://x.lan/mcp\n', {
        ...permissions(`agents:
  a: { token_hash: "sha256:abc", servers: [wikki] }
  b: { token_hash: "${tokenHash('b')}", servers: [5], expire: 2027-01-31 }
`),
        'manifests/gateway.yaml': 'proxi: {}\n',
        'manifests/notes.yml': '',
        'manifests/README.md': 'not YAML: {',
      }),
    )
    expect(lines).toEqual([
      'manifests/gateway.yaml:1:1 proxi: unknown key (did you mean "proxy"?)',
      'manifests/notes.yml:1:1 rename it to "manifests/notes.yaml": manifests end in .yaml',
      'manifests/permissions.yaml:2:20 agents.a.token_hash: expected "sha256:" and 64 lower-case hex digits, found 3 digits',
      'manifests/permissions.yaml:2:44 agents.a.servers[0]: unknown server "wikki" (did you mean "wiki"?)',
      'manifests/permissions.yaml:3:105 agents.b.servers[0]: unknown server "5" (known: wiki)',
      'manifests/permissions.yaml:3:109 agents.b.expire: unknown key (did you mean "expires"?)',
      'manifests/servers/wiki.yaml:1:1 port: only for a server that runs here, and this one is at a url',
      'manifests/servers/wiki.yaml:1:7 port: expected a number, found "x"',
      'manifests/servers/wiki.yaml:2:1 volumse: unknown key (did you mean "volumes"?)',
      'manifests/servers/wiki.yaml:3:1 secrets: only for a server that runs here, and this one is at a url',
      'manifests/servers/wiki.yaml:3:11 secrets[0]: names that begin with GATEWAY_ are the gateway’s own: GATEWAY_X',
    ])
  })

  test('of very many faults is told the first fifty of each file', async () => {
    const keys = Array.from({ length: 200 }, (_, index) => `key${index}: 1\n`).join('')
    const { lines } = await refused(wiki(keys))
    expect(lines).toHaveLength(51)
    expect(lines.at(-1)).toBe(
      'manifests/servers/wiki.yaml:51:1 more than 50 faults in this file: the others are not told',
    )
  })

  test('of very many unknown servers looks no further than is told', () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `wiki-${index}`)
    const body = Buffer.from(agent(`[${names}]`))
    const { manifest } = readYaml('manifests/permissions.yaml', body, {})
    expect(compilePermissions(manifest!, new Map([['wiki', '']])).faults).toHaveLength(200)
  })
})

describe('compiling', () => {
  test('reads no more than manifests, ignore files, symlinks and what by its size may be an LFS pointer, all at once', async () => {
    const tree = treeOf(
      wiki('', {
        'servers/wiki/.dockerignore': '*.md\n',
        'servers/wiki/large.bin': Buffer.alloc(2_000, 1),
        'servers/wiki/notes.md': 'x'.repeat(200),
        'servers/wiki/maybe.txt': 'x'.repeat(201),
        'servers/wiki/link': { mode: '120000', body: 'main.ts' },
        'elsewhere/maybe.txt': 'x'.repeat(202),
      }),
    )
    const paths = new Map((await tree.list()).map(({ oid, path }) => [oid, path]))
    expect((await compile(tree)).ok).toBe(true)
    expect(new Set(tree.reads.map((oid) => paths.get(oid)))).toEqual(
      new Set([
        'manifests/permissions.yaml',
        'manifests/servers/wiki.yaml',
        'servers/wiki/.dockerignore',
        'servers/wiki/notes.md',
        'servers/wiki/maybe.txt',
        'servers/wiki/link',
        'elsewhere/maybe.txt',
      ]),
    )
  })

  test('stops with its signal', async () => {
    await expect(compile(treeOf(wiki('')), AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  })
})
