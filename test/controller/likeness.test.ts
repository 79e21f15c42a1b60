import { expect, test } from 'vitest'
import { Described, DescribedImage, furtherNetworks, helperOf, successorOf } from '../../controller/docker/likeness.ts'

const oldImage = DescribedImage.parse({
  Id: 'sha256:old',
  Config: {
    Env: ['PATH=/usr/bin', 'NODE_ENV=production'],
    Cmd: ['node', 'controller/main.ts'],
    WorkingDir: '/app',
    Labels: { 'com.docker.compose.project': 'commons', 'commons-gateway.context': 'c1' },
  },
})
const old = Described.parse({
  Id: `${'0123456789ab'.padEnd(64, '0')}`,
  Name: '/commons-controller-1',
  Image: 'sha256:old',
  Config: {
    Hostname: '0123456789ab',
    Image: 'commons-gateway',
    Env: ['GATEWAY_REPO=https://forge.example/x', 'PATH=/usr/bin', 'NODE_ENV=production'],
    Cmd: ['node', 'controller/main.ts'],
    WorkingDir: '/app',
    Healthcheck: { Test: ['CMD', 'gateway', 'status'] },
    ExposedPorts: { '3110/tcp': {} },
    Entrypoint: null,
    Labels: {
      'com.docker.compose.project': 'commons',
      'com.docker.compose.config-hash': 'h',
      'com.docker.compose.image': 'sha256:old',
      'commons-gateway.context': 'c1',
    },
  },
  HostConfig: {
    Binds: ['/var/run/docker.sock:/var/run/docker.sock', 'state:/var/lib/gateway'],
    NetworkMode: 'commons_default',
    PortBindings: { '3110/tcp': [{ HostIp: '', HostPort: '3110' }] },
    RestartPolicy: { Name: 'unless-stopped' },
    Init: true,
  },
  NetworkSettings: {
    Networks: {
      commons_default: { Aliases: ['controller', '0123456789ab'], IPAMConfig: null, IPAddress: '172.18.0.2' },
      forge: { Aliases: null, IPAMConfig: null },
    },
  },
})

test('another controller has all that is the old one’s own, and nothing that only its image had', () => {
  expect(successorOf(old, oldImage, 'gateway', { ref: 'gateway/gateway:c2', id: 'sha256:new' })).toEqual({
    Image: 'gateway/gateway:c2',
    Env: ['GATEWAY_REPO=https://forge.example/x'],
    Healthcheck: { Test: ['CMD', 'gateway', 'status'] },
    ExposedPorts: { '3110/tcp': {} },
    Labels: {
      'com.docker.compose.project': 'commons',
      'com.docker.compose.config-hash': 'h',
      'com.docker.compose.image': 'sha256:new',
      'commons-gateway.instance': 'gateway',
      'commons-gateway.role': 'controller',
    },
    HostConfig: old.HostConfig,
    NetworkingConfig: { EndpointsConfig: { commons_default: { Aliases: ['controller'] } } },
  })
  expect(furtherNetworks(old)).toEqual(['forge'])
})

test('an updater reaches what the controller does, and is no service of anybody', () => {
  const command = ['node', 'controller/update/main.ts']
  expect(helperOf(old, oldImage, 'gateway', { image: 'gateway/gateway:c2', command })).toEqual({
    Image: 'gateway/gateway:c2',
    Cmd: command,
    Env: ['GATEWAY_REPO=https://forge.example/x'],
    Healthcheck: { Test: ['NONE'] },
    ExposedPorts: {},
    Labels: { 'commons-gateway.instance': 'gateway', 'commons-gateway.role': 'updater' },
    HostConfig: {
      ...old.HostConfig,
      NetworkMode: 'none',
      PortBindings: {},
      PublishAllPorts: false,
      Links: null,
      AutoRemove: false,
      RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 5 },
    },
  })
})
