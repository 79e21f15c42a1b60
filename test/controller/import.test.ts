import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { validate } from '../../controller/compile/validate.ts'
import { usual } from '../support/environment.ts'

const bin = fileURLToPath(new URL('../../controller/cli/main.ts', import.meta.url))

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'import-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function gateway(...args: readonly string[]) {
  const child = spawn(process.execPath, [bin, ...args], { cwd: folder, env: usual })
  const ended = new Promise<number | null>((done) => child.once('close', done))
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await ended, out, err }
}

async function put(path: string, body: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true })
  await writeFile(join(folder, path), body)
}

const digest = `sha256:${'a'.repeat(64)}`
const compose = `
x-note: for others
services:
  Wiki_Search:
    restart: always
    build: { context: ./wiki, args: { COLOUR: red, REVISION: , NPM_TOKEN: not-a-real-one } }
    entrypoint: [node]
    command: main.js
    environment:
      - WIKI_URL=https://wiki.example
      - WIKI_TOKEN=not-a-real-one
      - WIKI_APIKEY=not-a-real-one
      - DATABASE_URL=postgres://wiki:not-a-real-one@db.example/wiki
      - LOCALE=\${LANG}
      - MODE=\${MODE:-fast}
    env_file: .env
    ports: ["127.0.0.1:8080:3000/tcp", "9090:9090"]
    volumes: ["data:/data", "./My_Notes.d:/notes:ro", "/var/run/docker.sock:/var/run/docker.sock"]
    networks: [lan]
    healthcheck: { test: [CMD, curl, -f, "http://localhost:3000/health"] }
    deploy: { resources: { limits: { memory: 1G, cpus: "0.5" } } }
  pinned:
    image: registry.example/pinned@${digest}
    user: "1000:1000"
    mem_limit: 256m
  loose:
    image: registry.example/loose:latest
`

test('takes over no service that has the name of a part of the gateway', async () => {
  const names = ['gateway', 'controller', 'proxy', 'edge', 'egress', 'stdio', '語']
  await put('compose.yaml', `services:\n${names.map((name) => `  ${name}: { build: ./it }\n`).join('')}`)
  await put('it/Dockerfile', 'FROM scratch\n')
  const { err } = await gateway('import', 'compose.yaml', '--write', '.')
  for (const name of names) expect(err).toContain(`${name === '語' ? '' : name}" is `)
  expect(err).toContain('no server’s name; rename the service')
  expect(existsSync(join(folder, 'manifests/servers/proxy.yaml'))).toBe(false)
})

test('carries a compose file over, and names what it cannot', async () => {
  await put('compose.yaml', compose)
  await put('.env', 'SESSION=abc\n')
  await put('wiki/Dockerfile', 'FROM scratch\n')
  const { code, out, err } = await gateway('import', 'compose.yaml', '--write', '.')
  expect([code, out]).toEqual([
    0,
    'manifests/servers/wiki-search.yaml\nmanifests/servers/pinned.yaml\nmanifests/permissions.yaml\n',
  ])
  expect((await readFile(join(folder, 'manifests/servers/wiki-search.yaml'), 'utf8')).split('\n')).toEqual([
    'build:',
    '  context: wiki',
    '  args:',
    '    COLOUR: red',
    'command: [node, main.js]',
    'port: 3000',
    'health: "/health"',
    'env:',
    '  WIKI_URL: "https://wiki.example"',
    '  MODE: fast',
    'secrets: [SESSION, WIKI_TOKEN, WIKI_APIKEY, DATABASE_URL, { LOCALE: LANG }]',
    'volumes: ["data:/data"]',
    'mounts: ["my-notes-d:/notes"]',
    'limits:',
    '  memory: "1g"',
    '  cpus: 0.5',
    '',
  ])
  for (const line of [
    'wiki-search: is named wiki-search here',
    'wiki-search: build argument REVISION: ',
    'wiki-search: env_file .env: ',
    'wiki-search: environment WIKI_TOKEN: looks like a secret',
    'wiki-search: build argument NPM_TOKEN: looks like a secret',
    'wiki-search: environment DATABASE_URL: looks like a secret',
    'wiki-search: volume ./My_Notes.d: is offered on the machine by GATEWAY_MOUNTS=my-notes-d=',
    'wiki-search: volume /var/run/docker.sock: no socket',
    'wiki-search: port 9090: ',
    'wiki-search: networks: ',
    'loose: left out',
    'loose: image registry.example/loose:latest: needs its digest',
  ])
    expect(err).toContain(line)
  expect(err + out).not.toContain('not-a-real-one')
  expect((await validate(folder)).lines).toEqual(['valid: 2 servers, 0 agents'])
  const again = await gateway('import', 'compose.yaml', '--write', '.')
  expect([again.code, again.err]).toEqual([1, expect.stringContaining('is there already: nothing was written')])
})

test('says where a compose file is wrong', async () => {
  await put('compose.yaml', 'services:\n  wiki:\n    build: [7]\n')
  const { code, out, err } = await gateway('import', 'compose.yaml')
  expect([code, out]).toEqual([1, ''])
  expect(err).toMatch(/^gateway: compose\.yaml:3:\d+ services\.wiki\.build: .+\n$/)
  expect((await gateway('import', 'elsewhere.yaml')).err).toMatch(/^gateway: elsewhere\.yaml cannot be read: .+\n$/)
})

test('makes a repository that is valid as it stands, once', async () => {
  const { code, out, err } = await gateway('init', 'mine')
  expect(code).toBe(0)
  expect(out).toMatch(/^cgw_[A-Za-z0-9_-]{43}\n$/)
  expect(err).not.toContain(out.trim())
  expect((await validate(join(folder, 'mine'))).lines).toEqual(['valid: 1 server, 1 agent'])
  expect(existsSync(join(folder, 'mine/.forgejo/workflows/gateway.yaml'))).toBe(true)
  const again = await gateway('init', 'mine')
  expect([again.code, again.out, again.err]).toEqual([1, '', expect.stringMatching(/mine has manifests\/ already\n$/)])
})
