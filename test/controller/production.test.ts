import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readConfig, variableNames } from '../../controller/config/config.ts'
import { mountOf, readComposition } from '../support/composition.ts'

const checkout = fileURLToPath(new URL('../..', import.meta.url))
const repo = { GATEWAY_REPO: 'ssh://git@forge.example/owner/gateway.git' }
const keys = { GATEWAY_SSH_KEY_FILE: '/opt/gateway/deploy-key', GATEWAY_SSH_KNOWN_HOSTS: '/opt/gateway/known_hosts' }
const plain = readConfig({ ...repo, ...keys })

describe('gateway.env.example', async () => {
  const text = await readFile(join(checkout, 'gateway.env.example'), 'utf8')
  const shown = new Map([...text.matchAll(/^#?([A-Z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]))

  test('names every variable but those that docker-compose.yml settles', () => {
    const settled = ['GATEWAY_STATE', 'GATEWAY_RUNTIME', 'GATEWAY_LISTEN', 'DOCKER_HOST']
    expect([...shown.keys(), ...settled].sort()).toEqual([...variableNames].sort())
  })

  test('shows values that are accepted', () => {
    expect(readConfig({ ...Object.fromEntries(shown), ...repo }).mounts).toHaveProperty('personal')
  })

  test.for([
    'GATEWAY_BRANCH',
    'GATEWAY_POLL',
    'GATEWAY_PROXY_LISTEN',
    'GATEWAY_SECRETS',
    'GATEWAY_SUBNETS',
    'GATEWAY_INSTANCE',
    'LOG_LEVEL',
  ])('shows the default of %s', (name) => {
    expect(shown.get(name)).not.toBe('')
    expect(readConfig({ ...repo, ...keys, [name]: shown.get(name) })).toEqual(plain)
  })
})

describe('docker-compose.yml', async () => {
  const { services, volumes } = await readComposition(checkout)
  const { controller } = services
  const mounts = controller.volumes.map(mountOf)
  const sourceAt = (path: string) => mounts.find(({ target }) => target === path)?.source ?? ''

  test('keeps the state, and beside it what proxies may see, in volumes named after the instance', () => {
    expect(volumes[sourceAt(plain.state)]?.name).toBe(`${plain.instance}-state`)
    expect(volumes[sourceAt(join(plain.state, 'run'))]?.name).toBe(`${plain.instance}-run`)
  })

  test('mounts the folder of the secrets file where it is on the machine, read-only', () => {
    const folder = dirname(plain.secrets)
    expect(mounts).toContainEqual({ source: folder, target: folder, readOnly: true })
  })

  test('publishes the port of the status page', () => {
    const { port } = plain.status.listen
    expect(controller.ports).toEqual([`${port}:${port}`])
  })
})
