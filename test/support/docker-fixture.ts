import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDockerHost } from '../../controller/docker/docker.ts'
import type { DockerHostOptions } from '../../controller/docker/host.ts'
import type { Host } from '../../controller/host.ts'
import type { Fixture } from '../controller/host-contract/stand.ts'
import { buildInputOf } from './build-input.ts'
import { fetchIn, removeInstance, testInstance } from './engine.ts'
import { baseImage } from './machine.ts'
import { freePort } from './port.ts'
import { stubProduct } from './stub-product.ts'

const signal = new AbortController().signal

export interface DockerFixture extends Fixture {
  readonly state: string
  readonly options: DockerHostOptions
}

/** A Docker host on an instance of its own, with a stub for a product. */
export async function openDockerFixture(over: Partial<DockerHostOptions> = {}): Promise<DockerFixture> {
  const state = await mkdtemp(join(tmpdir(), 'gateway-docker-'))
  const options: DockerHostOptions = {
    instance: testInstance(),
    state,
    listen: { host: '127.0.0.1', port: await freePort() },
    subnets: '10.213.0.0/16',
    networks: [],
    product: productOf('one'),
    ...over,
  }
  const { instance, listen } = options
  const host = await openDockerHost(options, signal)
  return {
    instance,
    host,
    state,
    options,
    published: `http://${listen.host}:${listen.port}`,
    mountsReadOnly: true,
    reopen: (product = 'same') =>
      openDockerHost(product === 'same' ? options : { ...options, product: productOf('two') }, signal),
    fetchFromProxy: async (url) => fetchIn(await aProxy(host), url),
    async close() {
      await removeInstance(instance)
      await rm(state, { recursive: true, force: true })
    },
  }
}

function productOf(version: string): DockerHostOptions['product'] {
  const Dockerfile = `FROM ${baseImage}\nWORKDIR /opt/gateway\nCOPY . .\n`
  return buildInputOf({ ...stubProduct(version), Dockerfile })
}

async function aProxy(host: Host): Promise<string> {
  const proxy = (await host.observe(signal)).proxies.find(({ state }) => state === 'running')
  if (proxy === undefined) throw new Error('no proxy runs')
  return proxy.id
}
