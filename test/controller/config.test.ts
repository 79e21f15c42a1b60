import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Config, ConfigError, readConfig } from '../../controller/config/config.ts'

const repo = { GATEWAY_REPO: 'https://forge.example/owner/gateway.git' }

function faults(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.lines
    throw error
  }
  return []
}

describe('the environment', () => {
  test('has a default for all but the repository', () => {
    expect(readConfig({ ...repo, PATH: '/bin', LANG: 'C', GATEWAY_URL: '', OTHER: 'x' })).toEqual({
      source: {
        repo: repo.GATEWAY_REPO,
        branch: 'main',
        path: '',
        state: '/var/lib/gateway',
        inherited: { PATH: '/bin', LANG: 'C' },
      },
      poll: '*/30 * * * * *',
      state: '/var/lib/gateway',
      secrets: '/opt/gateway/.env',
      mounts: {},
      networks: [],
      subnets: '10.213.0.0/16',
      runtime: 'docker',
      instance: 'gateway',
      proxy: { listen: { host: '0.0.0.0', port: 3100 } },
      status: { listen: { host: '0.0.0.0', port: 3110 } },
      webhookSecrets: [],
      selfUpdate: false,
      logLevel: 'info',
      inherited: { PATH: '/bin', LANG: 'C' },
    } satisfies Config)
  })

  test('may set everything', () => {
    const config = readConfig({
      GATEWAY_REPO: 'ssh://git@forge.example:2222/owner/gateway.git',
      GATEWAY_BRANCH: 'release/1.x',
      GATEWAY_PATH: '/deploy//gateway/./',
      GATEWAY_POLL: '*/5 * * * *',
      GATEWAY_GIT_TOKEN: 'git-token',
      GATEWAY_SSH_KEY_FILE: '/keys/id',
      GATEWAY_SSH_KNOWN_HOSTS: '/keys/known_hosts',
      GATEWAY_CA_FILE: '/keys/ca.pem',
      GATEWAY_ALLOWED_SIGNERS: '/keys/signers/',
      GATEWAY_BREAK_GLASS: '/keys/glass.yaml',
      GATEWAY_STATE: '/srv/state/',
      GATEWAY_SECRETS: '/srv/secrets/.env',
      GATEWAY_MOUNTS: 'personal=/srv/personal,5etools=/srv/5etools/',
      GATEWAY_NETWORKS: 'wiki_default, other',
      GATEWAY_SUBNETS: '172.30.0.0/20',
      GATEWAY_RUNTIME: 'process',
      GATEWAY_INSTANCE: 'dev-1a2b3c',
      GATEWAY_PROXY_LISTEN: '[::1]:3200',
      GATEWAY_URL: 'https://mcp.example/',
      GATEWAY_LISTEN: 'localhost:0',
      GATEWAY_STATUS_URL: 'https://status.example/gateway/',
      GATEWAY_OPERATOR_TOKEN: 'operator-token',
      GATEWAY_WEBHOOK_SECRET: 'new, old',
      GATEWAY_SELF_UPDATE: 'on',
      LOG_LEVEL: 'debug',
    })
    expect(config).toEqual({
      source: {
        repo: 'ssh://git@forge.example:2222/owner/gateway.git',
        branch: 'release/1.x',
        path: 'deploy/gateway',
        state: '/srv/state',
        token: 'git-token',
        sshKeyFile: '/keys/id',
        sshKnownHosts: '/keys/known_hosts',
        caFile: '/keys/ca.pem',
        signers: '/keys/signers',
        inherited: {},
      },
      poll: '*/5 * * * *',
      state: '/srv/state',
      secrets: '/srv/secrets/.env',
      breakGlass: '/keys/glass.yaml',
      mounts: { personal: '/srv/personal', '5etools': '/srv/5etools' },
      networks: ['wiki_default', 'other'],
      subnets: '172.30.0.0/20',
      runtime: 'process',
      instance: 'dev-1a2b3c',
      proxy: { listen: { host: '::1', port: 3200 }, url: 'https://mcp.example' },
      status: {
        listen: { host: '127.0.0.1', port: 0 },
        url: 'https://status.example/gateway',
        operatorToken: 'operator-token',
      },
      webhookSecrets: ['new', 'old'],
      selfUpdate: true,
      logLevel: 'debug',
      inherited: {},
    } satisfies Config)
  })

  test('takes the engine that DOCKER_HOST names, where it uses one', () => {
    expect(readConfig({ ...repo, DOCKER_HOST: 'unix:///run/user/1000/docker.sock' })).toMatchObject({
      engine: '/run/user/1000/docker.sock',
    })
    expect(readConfig({ ...repo, DOCKER_HOST: 'ssh://elsewhere', GATEWAY_RUNTIME: 'process' }).engine).toBeUndefined()
  })

  test('has every fault named at once, a line each', () => {
    expect(faults({ GATEWAY_POLL: 'often', GATEWAY_POL: 'x', GATEWAY_RUNTIME: 'podman' })).toEqual([
      'GATEWAY_POL: unknown (did you mean "GATEWAY_POLL"?)',
      'GATEWAY_REPO: not given, required is the URL or path of the gateway repository',
      expect.stringMatching(/^GATEWAY_POLL: found "often".*allowed is a cron expression of 5 or 6 fields/),
      'GATEWAY_RUNTIME: found "podman", allowed is docker, process',
    ])
  })

  test.each([
    ['GATEWAY_REPO', 'git://forge.example/x', 'found "git://…", allowed is https://'],
    ['GATEWAY_REPO', 'ext::sh -c id', 'found "ext::sh -c id", allowed is https://'],
    ['GATEWAY_REPO', '--upload-pack=id', 'allowed is https://'],
    ['GATEWAY_REPO', 'ssh://-oProxyCommand=id/x', 'allowed is https://'],
    ['GATEWAY_REPO', 'https://forge.example/x?token=hidden', 'found a query or fragment in the URL'],
    ['GATEWAY_REPO', 'https://hidden@forge.example/x', 'found credentials in the URL'],
    ['GATEWAY_REPO', 'https://user:hidden@forge.example/x', 'found credentials in the URL'],
    ['GATEWAY_REPO', 'ssh://git:hidden@forge.example/x', 'found credentials in the URL'],
    ['GATEWAY_REPO', 'git:hidden@forge.example:x', 'found credentials in the URL'],
    ['GATEWAY_REPO', ' https://user:hidden@forge.example/x', 'allowed is https://'],
    ['GATEWAY_BRANCH', 'refs/heads/main', 'found "refs/heads/main", allowed is the name of a branch'],
    ['GATEWAY_BRANCH', '-x', 'allowed is the name of a branch'],
    ['GATEWAY_BRANCH', 'a..b', 'allowed is the name of a branch'],
    ['GATEWAY_BRANCH', 'main\n', 'found "main\\n", allowed is the name of a branch'],
    ['GATEWAY_PATH', '../elsewhere', 'found "../elsewhere", allowed is a folder inside the repository'],
    ['GATEWAY_PATH', 'a/../../b', 'allowed is a folder inside the repository'],
    ['GATEWAY_POLL', '* * * * * * *', 'allowed is a cron expression'],
    ['GATEWAY_POLL', '61 * * * *', 'allowed is a cron expression'],
    ['GATEWAY_GIT_TOKEN', 'hidden hidden', 'allowed is the token alone'],
    ['GATEWAY_GIT_TOKEN', 'hidden\r\nX: y', 'allowed is the token alone'],
    ['GATEWAY_STATE', `/${'s'.repeat(80)}`, 'has 81 bytes, allowed are 80'],
    ['GATEWAY_STATE', `/${'ü'.repeat(40)}`, 'has 81 bytes, allowed are 80'],
    ['GATEWAY_MOUNTS', 'personal=srv', 'found "personal=srv", allowed is name=/absolute/path'],
    ['GATEWAY_MOUNTS', 'a=/x,a=/y', '"a" is given twice'],
    ['GATEWAY_NETWORKS', 'a,,b', 'found "", allowed are names of engine networks'],
    ['GATEWAY_NETWORKS', 'wiki,0-a', '"0-a" sorts before the gateway\'s own "0-gateway"'],
    ['GATEWAY_NETWORKS', '0-gateway', 'sorts before'],
    ['GATEWAY_SUBNETS', '10.213.0.0/25', 'allowed is an IPv4 range of at least a /24'],
    ['GATEWAY_SUBNETS', '10.213.1.0/16', 'does not begin at the first address of a /16'],
    ['GATEWAY_SUBNETS', '10.213.0.0', 'allowed is an IPv4 range'],
    ['GATEWAY_SUBNETS', '10.213.0.300/24', 'allowed is an IPv4 range'],
    ['GATEWAY_INSTANCE', 'Gateway', 'found "Gateway", allowed are 1 to 31 of a-z, 0-9 and -'],
    ['GATEWAY_INSTANCE', '-a', 'allowed are 1 to 31'],
    ['GATEWAY_INSTANCE', 'a'.repeat(32), 'allowed are 1 to 31'],
    ['GATEWAY_PROXY_LISTEN', '3100', 'found "3100", allowed is <IP address>:<port>'],
    ['GATEWAY_PROXY_LISTEN', '0.0.0.0:0', 'found port 0, allowed is 1 to 65535'],
    ['GATEWAY_PROXY_LISTEN', '0.0.0.0:65536', 'allowed is <IP address>:<port>'],
    ['GATEWAY_PROXY_LISTEN', '::1:3100', 'allowed is <IP address>:<port>'],
    ['DOCKER_HOST', 'tcp://engine.example:2375', 'allowed is unix:///path/of/the.sock'],
    ['GATEWAY_LISTEN', 'forge.example:1', 'allowed is <IP address>:<port>'],
    ['GATEWAY_LISTEN', '127.0.0.1:3100', 'port 3100 is that of GATEWAY_PROXY_LISTEN'],
    ['GATEWAY_URL', 'mcp.example', 'allowed is http(s)://<host>'],
    ['GATEWAY_URL', 'https://mcp.example/mcp', 'allowed is the address without /mcp'],
    ['GATEWAY_STATUS_URL', 'https://user:hidden@status.example', 'found credentials in the URL'],
    ['GATEWAY_STATUS_URL', 'ftp://user:hidden@status.example', 'allowed is http(s)://<host>'],
    ['GATEWAY_WEBHOOK_SECRET', 'hidden,,hidden', 'holds an empty secret'],
    ['LOG_LEVEL', 'loud', 'found "loud", allowed is trace, debug, info, warn, error, fatal, silent'],
    ['DEBUG', 'modem', 'allowed is *,-modem*'],
    ['DEBUG', 'express,*', 'allowed is *,-modem*'],
    ['NODE_DEBUG', 'child_process', 'which prints secrets'],
    ['NODE_DEBUG', 'http,NET', 'which prints secrets'],
    ['NODE_DEBUG', '*', 'which prints secrets'],
    ['NODE_DEBUG', 'child*', 'which prints secrets'],
  ])('is refused with one line: %s=%j', (name, text, expected) => {
    const lines = faults({ ...repo, [name]: text })
    expect(lines).toEqual([expect.stringContaining(expected)])
    expect(lines[0]).toMatch(new RegExp(`^${name}: `))
    expect(lines[0]).not.toMatch(/hidden|\n/)
  })

  test.each([
    ['https://forge.example/home/gateway.git', 'https://forge.example', 'home/gateway'],
    ['https://forge.example/home/gateway', 'https://forge.example/', 'home/gateway'],
    ['https://forge.example/git/home/gateway.git/', 'https://forge.example/git', 'home/gateway'],
    ['http://127.0.0.1:3000/home/gate%20way.git', 'http://127.0.0.1:3000', 'home/gate way'],
    ['ssh://git@forge.example:2222/home/gateway.git', 'https://forge.example:8443/git', 'home/gateway'],
    ['git@forge.example:home/gateway.git', 'https://forge.example', 'home/gateway'],
  ])('finds %s on the forge %s', (GATEWAY_REPO, GATEWAY_FORGE_URL, repository) => {
    const ssh = { GATEWAY_SSH_KEY_FILE: '/k', GATEWAY_SSH_KNOWN_HOSTS: '/h' }
    const { forge } = readConfig({ ...ssh, GATEWAY_REPO, GATEWAY_FORGE_URL, GATEWAY_FORGE_TOKEN: 'secret' })
    expect(forge).toEqual({ url: GATEWAY_FORGE_URL.replace(/\/$/, ''), token: 'secret', repository })
  })

  test.each([
    ['https://forge.example/home/gateway.git', 'https://other.example', 'does not lie below https://other.example'],
    ['https://forge.example/home/gateway.git', 'http://forge.example', 'does not lie below'],
    ['https://forge.example/home/gateway.git', 'https://forge.example/git', 'does not lie below'],
    ['https://forge.example/gateway.git', 'https://forge.example', 'allowed is <owner>/<name>.git'],
    ['https://forge.example/a/b/c.git', 'https://forge.example', 'allowed is <owner>/<name>.git'],
    ['/srv/gateway.git', 'https://forge.example', 'is a folder of this machine'],
  ])('says that %s is not on the forge %s', (GATEWAY_REPO, GATEWAY_FORGE_URL, words) => {
    const lines = faults({ GATEWAY_REPO, GATEWAY_FORGE_URL, GATEWAY_FORGE_TOKEN: 'secret' })
    expect(lines).toEqual([expect.stringMatching(/^GATEWAY_FORGE_URL: /)])
    expect(lines[0]).toContain(words)
  })

  test('needs both the address and the token of a forge', () => {
    expect(faults({ ...repo, GATEWAY_FORGE_TOKEN: 'x' })).toEqual([
      expect.stringMatching(/^GATEWAY_FORGE_URL: not given/),
    ])
    expect(faults({ ...repo, GATEWAY_FORGE_URL: 'https://forge.example' })).toEqual([
      expect.stringMatching(/^GATEWAY_FORGE_TOKEN: not given/),
    ])
  })

  test('needs a key and a known host for ssh', () => {
    expect(faults({ GATEWAY_REPO: 'git@forge.example:owner/gateway.git' })).toEqual([
      'GATEWAY_SSH_KEY_FILE: not given, required for a repository that is reached by ssh',
      'GATEWAY_SSH_KNOWN_HOSTS: not given, required for a repository that is reached by ssh',
    ])
  })

  test('may let others debug', () => {
    for (const DEBUG of ['express:*', '*,-modem*', 'mode'])
      expect(faults({ ...repo, DEBUG, NODE_DEBUG: 'http,undici' })).toEqual([])
  })
})

describe('a secret in a file', () => {
  let folder: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gateway-config-'))
  })

  afterEach(() => rm(folder, { recursive: true, force: true }))

  test('is read without its line end', async () => {
    const file = join(folder, 'token')
    await writeFile(file, 'from-a-file\r\n')
    const config = readConfig({
      ...repo,
      GATEWAY_GIT_TOKEN_FILE: file,
      GATEWAY_OPERATOR_TOKEN_FILE: file,
      GATEWAY_WEBHOOK_SECRET_FILE: file,
    })
    expect(config.source.token).toBe('from-a-file')
    expect(config.status.operatorToken).toBe('from-a-file')
    expect(config.webhookSecrets).toEqual(['from-a-file'])
  })

  test('excludes the same in the environment', async () => {
    await writeFile(join(folder, 'token'), 'a')
    expect(faults({ ...repo, GATEWAY_GIT_TOKEN: 'a', GATEWAY_GIT_TOKEN_FILE: join(folder, 'token') })).toEqual([
      'GATEWAY_GIT_TOKEN_FILE: given beside GATEWAY_GIT_TOKEN, allowed is one of the two',
    ])
  })

  test('must be there, be a file and hold something', async () => {
    await writeFile(join(folder, 'empty'), '\n')
    const fault = (name: string) => faults({ ...repo, GATEWAY_GIT_TOKEN_FILE: join(folder, name) })
    expect(fault('none')).toEqual([`GATEWAY_GIT_TOKEN_FILE: ${folder}/none cannot be read (ENOENT)`])
    expect(fault('')).toEqual([`GATEWAY_GIT_TOKEN_FILE: ${folder} cannot be read (EISDIR)`])
    expect(fault('empty')).toEqual([`GATEWAY_GIT_TOKEN_FILE: ${folder}/empty is empty`])
  })
})
