import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { compile } from '../../controller/compile/compile.ts'
import { describeFault } from '../../controller/desired.ts'
import { agent, permissions, tokenHash, wiki } from '../support/manifest.ts'
import { type TreeFile, treeOf } from '../support/tree.ts'

type Case = readonly [title: string, files: Readonly<Record<string, TreeFile>>, line: string]

const plain = agent('["*"]')
const url = 'url: http://wiki.lan/mcp\n'
const sha = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`
const hash = (value: string) => permissions(`agents:\n  agent-a:\n    token_hash: ${value}\n    servers: []\n`)
const lfs = `version https://git-lfs.github.com/spec/v1\noid sha256:${'4'.repeat(64)}\nsize 12345\n`
const laughs = [
  'env:',
  '  - &a [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]',
  '  - &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]',
  '  - &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]',
  '  - &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]',
  '  - &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]',
].join('\n')

const cases: Readonly<Record<string, readonly Case[]>> = {
  syntax: [
    [
      'an unclosed quote',
      wiki('description: "wiki\n'),
      'manifests/servers/wiki.yaml:2:1 not YAML: missing closing quote',
    ],
    [
      'a tab as indentation',
      wiki('env:\n\tA: b\n'),
      'manifests/servers/wiki.yaml:2:1 a tab cannot indent YAML: use spaces',
    ],
    [
      'a colon in bare text',
      wiki('description: wiki: search\n'),
      'manifests/servers/wiki.yaml:1:14 a second ": " on one line: put text that contains it in quotes, or check the indentation',
    ],
    [
      'an unclosed list',
      wiki('command: [node, main.ts\nport: 1\n'),
      'manifests/servers/wiki.yaml:2:1 not YAML: flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
    [
      'two documents',
      wiki('port: 1\n---\nport: 2\n'),
      'manifests/servers/wiki.yaml:2:1 a second document begins here: one a file',
    ],
    [
      'a key that is there twice',
      wiki('port: 1\npath: /mcp\nport: 2\n'),
      'manifests/servers/wiki.yaml:3:1 port: this key is here twice',
    ],
    [
      'a list that becomes a mapping',
      permissions('- a\nagents: {}\n'),
      'manifests/permissions.yaml:2:1 not YAML: unexpected scalar at node end',
    ],
    [
      'a tag',
      wiki('env: { A: !secret a }\n'),
      'manifests/servers/wiki.yaml:1:19 env.A: tags have no meaning here, found "!secret"',
    ],
    [
      'a merge key',
      wiki('env: { <<: { A: b } }\n'),
      'manifests/servers/wiki.yaml:1:8 env["<<"]: merge keys are not YAML 1.2: write the keys themselves',
    ],
    [
      'a mapping as a key',
      wiki('? { a: b }\n: c\n'),
      'manifests/servers/wiki.yaml:1:3 ["?"]: a key is one word or text',
    ],
    [
      'a file that is a text',
      wiki('just words\n'),
      'manifests/servers/wiki.yaml:1:1 expected a mapping, found "just words"',
    ],
    [
      'a variable to fill in',
      wiki('env: { A: "${HOME}/x" }\n'),
      'manifests/servers/wiki.yaml:1:11 env.A: "${…}" is not filled in here: write the value, or name a secret under "secrets"',
    ],
  ],
  'anchors and size': [
    [
      'more values than anybody writes',
      wiki(`env:\n${'  - x\n'.repeat(60_000)}`),
      'manifests/servers/wiki.yaml:50000:5 env: more than 50000 values in a file',
    ],
    [
      'more signs than anybody writes',
      wiki(`env: [${','.repeat(400_000)}]\n`),
      'manifests/servers/wiki.yaml:1:1 more than 400000 words and signs',
    ],
    [
      'an alias without an anchor',
      wiki('env: { A: *nobody }\n'),
      'manifests/servers/wiki.yaml:1:11 env.A: no anchor &nobody stands before this alias',
    ],
    [
      'an anchor that contains itself',
      wiki('env: &a { A: *a }\n'),
      'manifests/servers/wiki.yaml:1:14 env.A: the anchor &a contains itself',
    ],
    [
      'a billion laughs',
      wiki(laughs),
      'manifests/servers/wiki.yaml:5:37 env[3][7]: aliases that expand to more than 10000 values',
    ],
    [
      'a thousand levels',
      wiki(`env: ${'['.repeat(5_000)}\n`),
      'manifests/servers/wiki.yaml:1:1 nested deeper than 64 levels',
    ],
    [
      'a hundred levels',
      wiki(`env: ${'['.repeat(100)}${']'.repeat(100)}\n`),
      'manifests/servers/wiki.yaml:1:70 env[0][0]: nested deeper than 64 levels',
    ],
    [
      'more than 1 MiB',
      wiki({ body: '', size: 2_000_000 }),
      'manifests/servers/wiki.yaml:1:1 2000000 bytes: at most 1048576 (1 MiB)',
    ],
  ],
  encoding: [
    [
      'UTF-16',
      wiki(Buffer.from('\ufeffport: 1\n', 'utf16le')),
      'manifests/servers/wiki.yaml:1:1 this is UTF-16: save it as UTF-8',
    ],
    [
      'UTF-16 without a mark',
      wiki(Buffer.from('port: 1\n', 'utf16le')),
      'manifests/servers/wiki.yaml:1:1 this is UTF-16: save it as UTF-8',
    ],
    [
      'Latin-1',
      wiki(Buffer.from('port: 1\ndescription: caf\xe9\n', 'latin1')),
      'manifests/servers/wiki.yaml:2:17 byte 0xE9 is not UTF-8: save the file as UTF-8',
    ],
    [
      'a NUL',
      wiki('description: a\0b\n'),
      'manifests/servers/wiki.yaml:1:15 the control character U+0000 cannot be in a manifest',
    ],
    [
      'an escaped NUL',
      wiki('env: { A: "a\\0b" }\n'),
      'manifests/servers/wiki.yaml:1:11 env.A: a NUL cannot be part of a value',
    ],
  ],
  'types and values': [
    [
      'text for a number',
      wiki('port: http\n'),
      'manifests/servers/wiki.yaml:1:7 port: expected a number, found "http"',
    ],
    [
      'a port out of range',
      wiki('port: 70000\n'),
      'manifests/servers/wiki.yaml:1:7 port: expected at most 65535, found the number 70000',
    ],
    [
      'a number for text',
      wiki('description: 5\n'),
      'manifests/servers/wiki.yaml:1:14 description: expected text, found the number 5',
    ],
    [
      'a command that is no list',
      wiki('command: node main.ts\n'),
      'manifests/servers/wiki.yaml:1:10 command: expected a list, found "node main.ts"',
    ],
    [
      'an empty command',
      wiki('command: []\n'),
      'manifests/servers/wiki.yaml:1:10 command: expected at least 1 entry, found 0',
    ],
    [
      'a number in a command',
      wiki('command: [sleep, 10]\n'),
      'manifests/servers/wiki.yaml:1:18 command[1]: expected text, found the number 10',
    ],
    [
      'a time without a unit',
      wiki('start: 60\n'),
      'manifests/servers/wiki.yaml:1:8 start: expected a time such as 250ms, 60s, 10m or 2h, found the number 60',
    ],
    [
      'a time of another unit',
      wiki('timeout: 3 days\n'),
      'manifests/servers/wiki.yaml:1:10 timeout: expected a time such as 250ms, 60s, 10m or 2h, found "3 days"',
    ],
    ['no time at all', wiki('start: 0s\n'), 'manifests/servers/wiki.yaml:1:8 start: expected more than no time at all'],
    ['a time of a week', wiki('drain: 168h\n'), 'manifests/servers/wiki.yaml:1:8 drain: expected at most 24h'],
    [
      'too little memory',
      wiki('limits: { memory: 512 }\n'),
      'manifests/servers/wiki.yaml:1:19 limits.memory: expected at least 6m',
    ],
    [
      'an amount without a unit',
      wiki('limits: { memory: lots }\n'),
      'manifests/servers/wiki.yaml:1:19 limits.memory: expected an amount such as 512m or 1g, found "lots"',
    ],
    [
      'no limit to processes',
      wiki('limits: { pids: -1 }\n'),
      'manifests/servers/wiki.yaml:1:17 limits.pids: expected at least 1, found the number -1',
    ],
    [
      'a word for a truth value',
      wiki('egress: no\n'),
      'manifests/servers/wiki.yaml:1:9 egress: expected true or false, found "no"',
    ],
    [
      'a word that is not in the list',
      wiki('seccomp: chrome\n'),
      'manifests/servers/wiki.yaml:1:10 seccomp: expected default or chromium, found "chrome"',
    ],
    [
      'an environment as a list',
      wiki('env: ["A=b"]\n'),
      'manifests/servers/wiki.yaml:1:6 env: expected a mapping, found a list',
    ],
    [
      'a variable without a value',
      wiki('env: { A: }\n'),
      'manifests/servers/wiki.yaml:1:8 env.A: expected text, found nothing: "" is the empty text',
    ],
    [
      'a prefix with a double underscore',
      wiki('prefix: a__b\n'),
      'manifests/servers/wiki.yaml:1:9 prefix: expected a prefix: at most 21 of A-Z, a-z, 0-9, _ and -, beginning with a letter or _, without __ and not ending in _; or "" for none, found "a__b"',
    ],
    [
      'build, image and url at once',
      wiki(`build: servers/wiki\n${url}`),
      'manifests/servers/wiki.yaml:2:1 url: "build" is there already: exactly one of build, image and url',
    ],
    [
      'a port at a url',
      wiki(`${url}port: 3000\n`),
      'manifests/servers/wiki.yaml:2:1 port: only for a server that runs here, and this one is at a url',
    ],
    [
      'an image without a digest',
      wiki('image: ghcr.io/x/wiki:1\n'),
      'manifests/servers/wiki.yaml:1:8 image: "ghcr.io/x/wiki:1" has no digest, so it could change by itself: write ghcr.io/x/wiki:1@sha256:…, which "docker buildx imagetools inspect ghcr.io/x/wiki:1" prints',
    ],
    [
      'a digest of the wrong length',
      wiki(`image: ghcr.io/x/wiki@sha256:${'a1'.repeat(31)}\n`),
      'manifests/servers/wiki.yaml:1:8 image: expected a digest of 64 hex digits after "ghcr.io/x/wiki", found 62',
    ],
    [
      'a day that is none',
      permissions(agent('[]', '    expires: 2027-02-30\n')),
      'manifests/permissions.yaml:5:14 agents.agent-a.expires: expected a day such as 2027-01-31, found "2027-02-30"',
    ],
  ],
  'keys and names': [
    [
      'an unknown key',
      wiki('volumse: []\n'),
      'manifests/servers/wiki.yaml:1:1 volumse: unknown key (did you mean "volumes"?)',
    ],
    [
      'an unknown key in a build',
      wiki('build: { contxt: servers/wiki }\n'),
      'manifests/servers/wiki.yaml:1:10 build.contxt: unknown key (did you mean "context"?)',
    ],
    [
      'environment',
      wiki('environment: { A: b }\n'),
      'manifests/servers/wiki.yaml:1:1 environment: unknown key, here it is "env"',
    ],
    [
      'ports',
      wiki('ports: ["80:80"]\n'),
      'manifests/servers/wiki.yaml:1:1 ports: unknown key, here it is "port": one, which only the proxy reaches',
    ],
    [
      'env_file',
      wiki('env_file: .env\n'),
      'manifests/servers/wiki.yaml:1:1 env_file: unknown key, here it is "secrets": names, whose values are in the secrets file on the machine',
    ],
    [
      'healthcheck',
      wiki('healthcheck: { test: x }\n'),
      'manifests/servers/wiki.yaml:1:1 healthcheck: unknown key, here it is "health": an HTTP path',
    ],
    [
      'mem_limit',
      wiki('mem_limit: 1g\n'),
      'manifests/servers/wiki.yaml:1:1 mem_limit: unknown key, here it is "limits.memory"',
    ],
    [
      'an unknown server',
      permissions(`agents:\n  agent-b:\n    token_hash: "${tokenHash('b')}"\n    servers:\n      - 5etool\n`, {
        'manifests/servers/5etools.yaml': url,
      }),
      'manifests/permissions.yaml:5:9 agents.agent-b.servers[0]: unknown server "5etool" (did you mean "5etools"?)',
    ],
    [
      'an unknown server with tools',
      wiki('', permissions(agent('[{ wiky: [read] }]'))),
      'manifests/permissions.yaml:4:17 agents.agent-a.servers[0].wiky: unknown server "wiky" (did you mean "wiki"?)',
    ],
    [
      'a server named twice',
      wiki('', permissions(agent('[wiki, wiki]'))),
      'manifests/permissions.yaml:4:21 agents.agent-a.servers[1]: "wiki" is in this list already',
    ],
    [
      'everything, and one narrower',
      wiki('', permissions(agent('["*", { wiki: [read] }]'))),
      'manifests/permissions.yaml:4:22 agents.agent-a.servers[1].wiki: "*" grants all of "wiki" already: without "*", name each server',
    ],
    [
      'everything with tools',
      wiki('', permissions(agent('[{ "*": [read] }]'))),
      'manifests/permissions.yaml:4:17 agents.agent-a.servers[0]["*"]: "*" is every server whole: name the ones to narrow',
    ],
    [
      'two servers in an entry',
      wiki('', permissions(agent('[{ wiki: [read], other: [read] }]'))),
      'manifests/permissions.yaml:4:15 agents.agent-a.servers[0]: expected one server an entry: begin the next with its own "-"',
    ],
    [
      'an agent that is there twice',
      permissions(
        `agents:\n  a: { token_hash: "${tokenHash('a')}", servers: [] }\n  a: { token_hash: "${tokenHash('b')}", servers: [] }\n`,
      ),
      'manifests/permissions.yaml:3:3 agents.a: this key is here twice',
    ],
    [
      'an agent of a strange name',
      permissions(`agents:\n  "a b": { token_hash: "${tokenHash('a')}", servers: [] }\n`),
      'manifests/permissions.yaml:2:3 agents["a b"]: expected an agent’s name: 1 to 64 of A-Z, a-z, 0-9, . _ @ and -, beginning with a letter or digit, found "a b"',
    ],
    [
      'an agent without servers',
      permissions(`agents:\n  a: { token_hash: "${tokenHash('a')}" }\n`),
      'manifests/permissions.yaml:2:3 agents.a.servers: required: a list',
    ],
    [
      'agents that are nothing',
      permissions('agents:\n'),
      'manifests/permissions.yaml:1:1 agents: expected a mapping, found nothing',
    ],
    ['no agents', permissions(''), 'manifests/permissions.yaml:1:1 agents: required: a mapping'],
    [
      'the key __proto__',
      wiki('env: { __proto__: a }\n'),
      'manifests/servers/wiki.yaml:1:8 env.__proto__: "__proto__" cannot be a key in a manifest',
    ],
    [
      'the key constructor',
      permissions('agents:\n  constructor: { token_hash: x, servers: [] }\n'),
      'manifests/permissions.yaml:2:3 agents.constructor: "constructor" cannot be a key in a manifest',
    ],
    [
      'a server called constructor',
      wiki('', permissions(agent('[constructor]'))),
      'manifests/permissions.yaml:4:15 agents.agent-a.servers[0]: unknown server "constructor" (known: wiki)',
    ],
    [
      'two servers of one prefix (F20)',
      wiki('prefix: a\n', { 'manifests/servers/other.yaml': `${url}prefix: a\n` }),
      'manifests/servers/other.yaml:2:9 prefix: server "wiki" has this prefix already',
    ],
    [
      'two servers without a prefix (F20)',
      wiki('prefix: ""\n', { 'manifests/servers/other.yaml': `${url}prefix: ""\n` }),
      'manifests/servers/other.yaml:2:9 prefix: server "wiki" has no prefix already: one at most',
    ],
    [
      'the prefix of another’s name (F20)',
      wiki('', { 'manifests/servers/other.yaml': `${url}prefix: wiki\n` }),
      'manifests/servers/other.yaml:2:9 prefix: server "wiki" has this prefix already',
    ],
    [
      'a server in a file and in permissions',
      wiki('', permissions(`${plain}servers:\n  wiki: { url: "http://x.lan/mcp" }\n`)),
      'manifests/permissions.yaml:6:3 servers.wiki: this server has a file too: manifests/servers/wiki.yaml',
    ],
  ],
  'token hashes': [
    [
      'the hash of nothing',
      hash(`"${sha('')}"`),
      'manifests/permissions.yaml:3:17 agents.agent-a.token_hash: this is the hash of "", not of a token: "gateway token new AGENT" makes a token and prints its hash',
    ],
    [
      'the hash of a line break',
      hash(`"${sha('\n')}"`),
      'manifests/permissions.yaml:3:17 agents.agent-a.token_hash: this is the hash of "\\n", not of a token: "gateway token new AGENT" makes a token and prints its hash',
    ],
    [
      'the hash of a word',
      hash(`"${sha('changeme')}"`),
      'manifests/permissions.yaml:3:17 agents.agent-a.token_hash: this is the hash of "changeme", not of a token: "gateway token new AGENT" makes a token and prints its hash',
    ],
    [
      'the hash of the agent’s name',
      hash(`"${sha('agent-a')}"`),
      'manifests/permissions.yaml:3:17 agents.agent-a.token_hash: this is the hash of the agent’s own name: "gateway token new AGENT" makes a token and prints its hash',
    ],
    [
      'zeros',
      hash(`"sha256:${'0'.repeat(64)}"`),
      'manifests/permissions.yaml:3:17 agents.agent-a.token_hash: this is a placeholder, not a hash: "gateway token new AGENT" makes a token and prints its hash',
    ],
    [
      'a placeholder',
      hash('"sha256:<64 hex>"'),
      'manifests/permissions.yaml:3:17 agents.agent-a.token_hash: expected "sha256:" and 64 lower-case hex digits, found a placeholder: "gateway token new AGENT" makes a token and prints its hash',
    ],
    [
      'upper-case digits',
      hash(`"${tokenHash('a').toUpperCase().replace('SHA', 'sha')}"`),
      'manifests/permissions.yaml:3:17 agents.agent-a.token_hash: expected "sha256:" and 64 lower-case hex digits, found upper-case ones',
    ],
    [
      'digits alone',
      hash(`"${tokenHash('a').slice(7)}"`),
      'manifests/permissions.yaml:3:17 agents.agent-a.token_hash: expected "sha256:" and 64 lower-case hex digits, found the digits alone: put "sha256:" before them',
    ],
    [
      'too few digits',
      hash('"sha256:abc123"'),
      'manifests/permissions.yaml:3:17 agents.agent-a.token_hash: expected "sha256:" and 64 lower-case hex digits, found 6 digits',
    ],
    [
      'another algorithm',
      hash(`"md5:${'1f'.repeat(16)}"`),
      'manifests/permissions.yaml:3:17 agents.agent-a.token_hash: expected "sha256:" and 64 lower-case hex digits, found something else',
    ],
    [
      'a token',
      hash(`cgw_${'x'.repeat(43)}`),
      'manifests/permissions.yaml:3:17 agents.agent-a.token_hash: this is a token, not its hash: it is no secret any more, make a new one with "gateway token new"',
    ],
    [
      'no hash',
      hash('[]'),
      'manifests/permissions.yaml:3:17 agents.agent-a.token_hash: expected at least 1 entry, found 0',
    ],
    [
      'three hashes',
      hash(`["${tokenHash('a')}", "${tokenHash('b')}", "${tokenHash('c')}"]`),
      'manifests/permissions.yaml:3:17 agents.agent-a.token_hash: expected at most 2 entries, found 3',
    ],
    [
      'a hash twice',
      hash(`["${tokenHash('a')}", "${tokenHash('a')}"]`),
      'manifests/permissions.yaml:3:93 agents.agent-a.token_hash[1]: this hash is in the list already',
    ],
    [
      'a hash of two agents',
      permissions(
        `agents:\n  a: { token_hash: "${tokenHash('a')}", servers: [] }\n  b: { token_hash: "${tokenHash('a')}", servers: [] }\n`,
      ),
      'manifests/permissions.yaml:3:20 agents.b.token_hash: agent "a" has the same token: each needs its own',
    ],
  ],
  files: [
    [
      'a name that the gateway gives a network',
      wiki('', { 'manifests/servers/egress.yaml': url }),
      'manifests/servers/egress.yaml:1:1 "egress" is a part of the gateway itself, and no server’s name',
    ],
    [
      '.yml',
      wiki('', { 'manifests/servers/other.yml': url }),
      'manifests/servers/other.yml:1:1 rename it to "manifests/servers/other.yaml": manifests end in .yaml',
    ],
    [
      'permissions.yml',
      { 'manifests/permissions.yml': plain },
      'manifests/permissions.yml:1:1 rename it to "manifests/permissions.yaml": manifests end in .yaml',
    ],
    [
      'an unknown file',
      wiki('', { 'manifests/permision.yaml': plain }),
      'manifests/permision.yaml:1:1 unknown file (did you mean "manifests/permissions.yaml"?): a server’s is manifests/servers/<name>.yaml',
    ],
    [
      'a folder below servers',
      wiki('', { 'manifests/servers/a/b.yaml': url }),
      'manifests/servers/a/b.yaml:1:1 unknown file: a server’s is manifests/servers/<name>.yaml',
    ],
    [
      'no permissions',
      { 'manifests/servers/wiki.yaml': url },
      'manifests/permissions.yaml:1:1 required: the agents and what they may use ("agents: {}" for none)',
    ],
    [
      'no manifests',
      { 'README.md': '# x\n' },
      'manifests/permissions.yaml:1:1 required: the agents and what they may use ("agents: {}" for none): is GATEWAY_PATH the folder that holds manifests/?',
    ],
    [
      'a budget without a tool',
      wiki('budget: { paint: { calls: 2, per: day, tools: [] } }\n'),
      'manifests/servers/wiki.yaml:1:47 budget.paint.tools: expected at least 1 entry, found 0',
    ],
    [
      'a tool twice in a budget',
      wiki('budget: { all: { calls: 2, per: day, tools: [a, b, a] } }\n'),
      'manifests/servers/wiki.yaml:1:45 budget.all.tools: a tool is in this list twice',
    ],
    [
      'a budget per week',
      wiki('budget: { paint: { calls: 2, per: week } }\n'),
      'manifests/servers/wiki.yaml:1:35 budget.paint.per: expected minute, hour or day, found "week"',
    ],
    [
      'names that differ in case',
      wiki('', { 'manifests/servers/Wiki.yaml': url }),
      'manifests/servers/Wiki.yaml:1:1 differs from "manifests/servers/wiki.yaml" only in case: on some disks they are one file',
    ],
    [
      'a name in upper case',
      wiki('', { 'manifests/servers/Other.yaml': url }),
      'manifests/servers/Other.yaml:1:1 "Other" is no server’s name: 1 to 20 of a-z, 0-9 and -, not beginning with -',
    ],
    [
      'a name that is too long',
      wiki('', { [`manifests/servers/${'a'.repeat(21)}.yaml`]: url }),
      'manifests/servers/aaaaaaaaaaaaaaaaaaaaa.yaml:1:1 "aaaaaaaaaaaaaaaaaaaaa" is no server’s name: 1 to 20 of a-z, 0-9 and -, not beginning with -',
    ],
    [
      'the gateway’s name',
      wiki('', { 'manifests/servers/gateway.yaml': url }),
      'manifests/servers/gateway.yaml:1:1 "gateway" is a part of the gateway itself, and no server’s name',
    ],
    [
      'a name that every object has',
      wiki('', { 'manifests/servers/constructor.yaml': url }),
      'manifests/servers/constructor.yaml:1:1 "constructor" cannot be a server’s name',
    ],
    [
      'a symlink',
      wiki({ mode: '120000', body: '/etc/passwd' }),
      'manifests/servers/wiki.yaml:1:1 a symlink cannot be a manifest: put the file itself here',
    ],
    [
      'a submodule',
      wiki('', { 'manifests/servers': { mode: '160000' } }),
      'manifests/servers:1:1 a submodule cannot hold manifests: its files are not in this repository',
    ],
  ],
  'credentials of outside servers': [
    [
      'one for a server that runs here',
      wiki('auth: { secret: WIKI_TOKEN }\n'),
      'manifests/servers/wiki.yaml:1:1 auth: only for a server at a url: one that runs here has "secrets"',
    ],
    [
      'no secret',
      wiki(`${url}auth: { header: X-Api-Key }\n`),
      'manifests/servers/wiki.yaml:2:1 auth.secret: required: text',
    ],
    [
      'a secret of the gateway',
      wiki(`${url}auth: { secret: GATEWAY_GIT_TOKEN }\n`),
      'manifests/servers/wiki.yaml:2:17 auth.secret: names that begin with GATEWAY_ are the gateway’s own: GATEWAY_GIT_TOKEN',
    ],
    [
      'a header of the gateway',
      wiki(`${url}auth: { secret: WIKI_TOKEN, header: Mcp-Session-Id }\n`),
      'manifests/servers/wiki.yaml:2:37 auth.header: Mcp-Session-Id is a header that the gateway sets itself',
    ],
    [
      'a header with its value',
      wiki(`${url}auth: { secret: WIKI_TOKEN, header: "X-Api-Key: private" }\n`),
      'manifests/servers/wiki.yaml:2:37 auth.header: expected the name of a header such as Authorization or X-Api-Key',
    ],
    [
      'a scheme with the value',
      wiki(`${url}auth: { secret: WIKI_TOKEN, scheme: "Bearer private" }\n`),
      'manifests/servers/wiki.yaml:2:37 auth.scheme: expected a scheme such as Bearer, or "" for none',
    ],
  ],
  'build contexts': [
    [
      'no context',
      wiki('build: servers/wikki\n'),
      'manifests/servers/wiki.yaml:1:8 build: no folder "servers/wikki" in this commit to build from (did you mean "servers/wiki"?)',
    ],
    [
      'a context that is a file',
      wiki('build: servers/wiki/main.ts\n'),
      'manifests/servers/wiki.yaml:1:8 build: the build context "servers/wiki/main.ts" is a file: name its folder',
    ],
    [
      'a context that is a symlink',
      wiki('build: link\n', { link: { mode: '120000', body: 'servers/wiki' } }),
      'manifests/servers/wiki.yaml:1:8 build: the build context "link" is a symlink: name the folder itself',
    ],
    [
      'a context outside',
      wiki('build: ../wiki\n'),
      'manifests/servers/wiki.yaml:1:8 build: "../wiki" leads out of where it may look: no ".." in a path',
    ],
    [
      'a context of another host',
      wiki('build: https://example.com/wiki.git\n'),
      'manifests/servers/wiki.yaml:1:8 build: expected a folder or file of this repository, found "https://example.com/wiki.git"',
    ],
    [
      'an absolute context',
      wiki('build: { context: /etc }\n'),
      'manifests/servers/wiki.yaml:1:19 build.context: expected a path inside the repository, found "/etc"',
    ],
    [
      'no Dockerfile',
      wiki('build: { context: servers/wiki, dockerfile: Dokerfile }\n'),
      'manifests/servers/wiki.yaml:1:45 build.dockerfile: no "Dokerfile" in "servers/wiki" in this commit (did you mean "Dockerfile"?)',
    ],
    [
      'a Dockerfile outside',
      wiki('build: { dockerfile: ../Dockerfile }\n'),
      'manifests/servers/wiki.yaml:1:22 build.dockerfile: "../Dockerfile" leads out of where it may look: no ".." in a path',
    ],
    [
      'a Dockerfile twice',
      wiki('build: { dockerfile: Dockerfile, dockerfile_inline: FROM scratch }\n'),
      'manifests/servers/wiki.yaml:1:34 build.dockerfile_inline: "dockerfile" is there already: one of the two',
    ],
    [
      'a path that is not there',
      wiki('build: { paths: [mian.ts] }\n'),
      'manifests/servers/wiki.yaml:1:17 build.paths: no "mian.ts" in "servers/wiki" in this commit (did you mean "main.ts"?)',
    ],
    [
      'a Git LFS pointer',
      wiki('', { 'servers/wiki/model.bin': lfs }),
      'servers/wiki/model.bin:1:1 a Git LFS pointer, not the file itself: commit the file without LFS',
    ],
    [
      'a submodule in it',
      wiki('', { 'servers/wiki/lib': { mode: '160000' } }),
      'servers/wiki/lib:1:1 a submodule cannot be built from: its files are not in this repository',
    ],
    [
      'a symlink that leaves it',
      wiki('', { 'servers/wiki/x': { mode: '120000', body: '../../manifests' } }),
      'servers/wiki/x:1:1 a symlink that leaves the build context, to "../../manifests"',
    ],
    [
      'an absolute symlink',
      wiki('', { 'servers/wiki/x': { mode: '120000', body: '/etc/passwd' } }),
      'servers/wiki/x:1:1 a symlink that leaves the build context, to "/etc/passwd"',
    ],
    [
      'a symlink to more than a path',
      wiki('', { 'servers/wiki/x': { mode: '120000', body: 'x/'.repeat(3_000) } }),
      'servers/wiki/x:1:1 a symlink of 6000 bytes: no path has more than 4096',
    ],
    [
      'patterns in .dockerignore that take very long',
      wiki('', {
        'servers/wiki/.dockerignore': `${'*a'.repeat(50)}\n`.repeat(500),
        [`servers/wiki/${'a'.repeat(4_000)}`]: '',
      }),
      'servers/wiki/.dockerignore:1:1 matching takes too long: write fewer patterns, with fewer "*"',
    ],
    [
      'a file over 64 MiB',
      wiki('', { 'servers/wiki/big': { size: 70 * 1024 ** 2 } }),
      'servers/wiki/big:1:1 70 MiB to build from: at most 64 MiB a file',
    ],
    [
      'a broken .dockerignore',
      wiki('', { 'servers/wiki/.dockerignore': '*.md\n[a-\n' }),
      'servers/wiki/.dockerignore:2:1 the "[" of "[a-" is not closed',
    ],
  ],
  'what is dangerous': [
    [
      'a volume that is another server’s',
      wiki('volumes: ["a-b:/x"]\n', {
        'manifests/servers/wiki-a.yaml': `image: a@sha256:${'a1'.repeat(32)}\nvolumes: ["b:/x"]\n`,
      }),
      'manifests/servers/wiki-a.yaml:2:11 volumes[0]: a volume of server "wiki" has the same full name, "wiki-a-b": rename one',
    ],
    [
      'an escape sequence in a description',
      wiki('description: "\\e[2J"\n'),
      'manifests/servers/wiki.yaml:1:14 description: a control character cannot be part of a description',
    ],
    [
      'a pattern of two lines',
      wiki('', permissions(agent('[{ wiki: ["a\\nb"] }]'))),
      'manifests/permissions.yaml:4:24 agents.agent-a.servers[0].wiki[0]: expected a name or a pattern such as search_*, found "a\\nb"',
    ],
    [
      'a name with a line break',
      wiki('', { 'servers/wiki/a\nb': 'x' }),
      '"servers/wiki/a\\nb":1:1 a line break cannot be part of a file’s name',
    ],
    [
      'privileged',
      wiki('privileged: true\n'),
      'manifests/servers/wiki.yaml:1:1 privileged: not allowed: every server runs without capabilities, new privileges or a writable root',
    ],
    [
      'network_mode',
      wiki('network_mode: host\n'),
      'manifests/servers/wiki.yaml:1:1 network_mode: not allowed: each server has a network of its own ("egress: false" closes the way out)',
    ],
    [
      'cap_add',
      wiki('cap_add: [SYS_ADMIN]\n'),
      'manifests/servers/wiki.yaml:1:1 cap_add: not allowed: every server runs without capabilities, new privileges or a writable root',
    ],
    [
      'devices',
      wiki('devices: ["/dev/kvm"]\n'),
      'manifests/servers/wiki.yaml:1:1 devices: not allowed: a server is never given what is the machine’s',
    ],
    [
      'pid',
      wiki('pid: host\n'),
      'manifests/servers/wiki.yaml:1:1 pid: not allowed: a server is never given what is the machine’s',
    ],
    [
      'security_opt',
      wiki('security_opt: ["seccomp:unconfined"]\n'),
      'manifests/servers/wiki.yaml:1:1 security_opt: not allowed: every server runs without capabilities, new privileges or a writable root',
    ],
    [
      'the engine’s socket as a volume',
      wiki('volumes: ["/var/run/docker.sock:/x"]\n'),
      'manifests/servers/wiki.yaml:1:11 volumes[0]: "/var/run/docker.sock:/x": the engine’s socket is never given to a server',
    ],
    [
      'the engine’s socket as a target',
      wiki('volumes: ["data:/var/run/docker.sock"]\n'),
      'manifests/servers/wiki.yaml:1:11 volumes[0]: "/var/run/docker.sock": no engine’s socket is ever given to a server',
    ],
    [
      'a folder of the machine',
      wiki('volumes: ["/etc:/x"]\n'),
      'manifests/servers/wiki.yaml:1:11 volumes[0]: "/etc:/x": no folder of the machine has a key here: its operator offers some by name (GATEWAY_MOUNTS), for "mounts"',
    ],
    [
      'a folder above',
      wiki('volumes: ["../x:/x"]\n'),
      'manifests/servers/wiki.yaml:1:11 volumes[0]: "../x:/x": no folder of the machine has a key here: its operator offers some by name (GATEWAY_MOUNTS), for "mounts"',
    ],
    [
      'a folder of the machine in the long form',
      wiki('volumes: [{ source: /etc, target: /x }]\n'),
      'manifests/servers/wiki.yaml:1:21 volumes[0].source: "/etc": no folder of the machine has a key here: its operator offers some by name (GATEWAY_MOUNTS), for "mounts"',
    ],
    [
      'a type of volume',
      wiki('volumes: [{ type: bind, source: data, target: /x }]\n'),
      'manifests/servers/wiki.yaml:1:13 volumes[0].type: unknown key, allowed are source, target, shared',
    ],
    [
      'options of a volume',
      wiki('volumes: ["data:/data:rw,exec"]\n'),
      'manifests/servers/wiki.yaml:1:11 volumes[0]: expected name:/path without options, found "data:/data:rw,exec"',
    ],
    [
      'a target in /proc',
      wiki('volumes: ["data:/proc/sys"]\n'),
      'manifests/servers/wiki.yaml:1:11 volumes[0]: "/proc/sys" belongs to the system',
    ],
    [
      'a volume where our wrapper lies',
      wiki('volumes: ["data:/.gateway"]\n'),
      'manifests/servers/wiki.yaml:1:11 volumes[0]: "/.gateway" belongs to the system',
    ],
    [
      'a target that climbs',
      wiki('volumes: ["data:/data/../etc"]\n'),
      'manifests/servers/wiki.yaml:1:11 volumes[0]: expected an absolute path such as /data, found "/data/../etc"',
    ],
    [
      'a path as a mount',
      wiki('mounts: ["/srv/personal:/data"]\n'),
      'manifests/servers/wiki.yaml:1:10 mounts[0]: "/srv/personal:/data": no folder of the machine has a key here: its operator offers some by name (GATEWAY_MOUNTS), for "mounts"',
    ],
    [
      'a mount that may be written',
      wiki('mounts: ["personal:/data:rw"]\n'),
      'manifests/servers/wiki.yaml:1:10 mounts[0]: expected name:/path without options, found "personal:/data:rw"',
    ],
    [
      'one target twice',
      wiki('volumes: ["a:/tmp"]\n'),
      'manifests/servers/wiki.yaml:1:11 volumes[0]: /tmp is taken already, by "tmpfs"',
    ],
    [
      'user root',
      wiki('user: root\n'),
      'manifests/servers/wiki.yaml:1:7 user: expected a number such as 10001, found "root": root is 0, and the plan names it',
    ],
    [
      'a negative user',
      wiki('user: -1\n'),
      'manifests/servers/wiki.yaml:1:7 user: expected at least 0, found the number -1',
    ],
    [
      'options of a tmpfs',
      wiki('tmpfs: ["/tmp:exec"]\n'),
      'manifests/servers/wiki.yaml:1:9 tmpfs[0]: expected a path without options, found "/tmp:exec"',
    ],
    [
      'a variable with =',
      wiki('env: { "A=B": c }\n'),
      'manifests/servers/wiki.yaml:1:8 env["A=B"]: "A=B" is no variable’s name: A-Z, a-z, 0-9 and _, not beginning with a digit',
    ],
    [
      'a variable with a line break',
      wiki('env: { "A\\nB": c }\n'),
      'manifests/servers/wiki.yaml:1:8 env["A\\nB"]: "A\\nB" is no variable’s name: A-Z, a-z, 0-9 and _, not beginning with a digit',
    ],
    [
      'a variable of the gateway',
      wiki('env: { GATEWAY_STATE: /x }\n'),
      'manifests/servers/wiki.yaml:1:8 env.GATEWAY_STATE: names that begin with GATEWAY_ are the gateway’s own: GATEWAY_STATE',
    ],
    [
      'PORT',
      wiki('env: { PORT: 80 }\n'),
      'manifests/servers/wiki.yaml:1:8 env.PORT: PORT is given by the gateway: set it with "port"',
    ],
    [
      'a secret of the gateway',
      wiki('secrets: [GATEWAY_GIT_TOKEN]\n'),
      'manifests/servers/wiki.yaml:1:11 secrets[0]: names that begin with GATEWAY_ are the gateway’s own: GATEWAY_GIT_TOKEN',
    ],
    [
      'a secret of the gateway by another name',
      wiki('secrets: [{ A: GATEWAY_GIT_TOKEN }]\n'),
      'manifests/servers/wiki.yaml:1:16 secrets[0].A: names that begin with GATEWAY_ are the gateway’s own: GATEWAY_GIT_TOKEN',
    ],
    [
      'a secret with its value',
      wiki('secrets: ["KEY=value"]\n'),
      'manifests/servers/wiki.yaml:1:11 secrets[0]: expected the name of a secret: A-Z, a-z, 0-9 and _, not beginning with a digit; its value belongs in the secrets file on the machine',
    ],
    [
      'a secret over a variable',
      wiki('env: { KEY: a }\nsecrets: [KEY]\n'),
      'manifests/servers/wiki.yaml:2:11 secrets[0]: KEY is in "env" already',
    ],
    [
      'an argument of the gateway',
      wiki('build: { args: { GATEWAY_X: a } }\n'),
      'manifests/servers/wiki.yaml:1:18 build.args.GATEWAY_X: names that begin with GATEWAY_ are the gateway’s own: GATEWAY_X',
    ],
    [
      'an argument of the builder',
      wiki('build: { args: { BUILDKIT_SYNTAX: example/frontend } }\n'),
      'manifests/servers/wiki.yaml:1:18 build.args.BUILDKIT_SYNTAX: names that begin with BUILDKIT_ steer the builder itself: BUILDKIT_SYNTAX',
    ],
    [
      'a path to another host',
      wiki('path: //evil.example/mcp\n'),
      'manifests/servers/wiki.yaml:1:7 path: expected a path on the server such as /mcp, without a host, found "//evil.example/mcp"',
    ],
    [
      'a path with @',
      wiki('path: /@evil.example\n'),
      'manifests/servers/wiki.yaml:1:7 path: expected a path on the server such as /mcp, without a host, found "/@evil.example"',
    ],
    [
      'a health check with a line break',
      wiki('health: "/health\\r\\nHost: evil"\n'),
      'manifests/servers/wiki.yaml:1:9 health: expected a path on the server such as /mcp, without a host, found "/health\\r\\nHost: evil"',
    ],
    [
      'a path that climbs',
      wiki('path: /a/../../b\n'),
      'manifests/servers/wiki.yaml:1:7 path: expected a path on the server such as /mcp, without a host, found "/a/../../b"',
    ],
    [
      'a url with a password',
      wiki('url: http://me:pw@wiki.lan/mcp\n'),
      'manifests/servers/wiki.yaml:1:6 url: a credential does not belong in a URL that everybody can read',
    ],
    [
      'a url of a file',
      wiki('url: file:///etc/passwd\n'),
      'manifests/servers/wiki.yaml:1:6 url: expected a URL such as http://wiki.lan:3000/mcp, found one of scheme "file:"',
    ],
    [
      'a url of a socket',
      wiki('url: unix:///var/run/docker.sock\n'),
      'manifests/servers/wiki.yaml:1:6 url: expected a URL such as http://wiki.lan:3000/mcp, found one of scheme "unix:"',
    ],
    [
      'an image with an option',
      wiki(`image: "--privileged@sha256:${'a1'.repeat(32)}"\n`),
      'manifests/servers/wiki.yaml:1:8 image: expected an image such as ghcr.io/x/y@sha256:…, found "--privileged@sha256:a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a…"',
    ],
    [
      'a NUL in a command',
      wiki('command: [node, "a\\0b"]\n'),
      'manifests/servers/wiki.yaml:1:17 command[1]: a NUL cannot be part of a value',
    ],
  ],
}

describe.each(Object.entries(cases))('refuses %s', (_, broken) => {
  test.each(broken)('%s', async (_title, files, line) => {
    const compiled = await compile(treeOf(files))
    expect(compiled.ok ? [] : compiled.faults.map(describeFault)).toEqual([line])
  })
})
