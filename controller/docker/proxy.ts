import { createHash } from 'node:crypto'
import { unitName } from '../host.ts'
import { type ProxyVariable, proxyCommand, proxyMemory } from '../proxy-program.ts'
import { confined, grace, pairs } from './container.ts'
import { proxyPort, runningEdge } from './edge.ts'
import type { ContainerOptions } from './engine.ts'
import { carries, labelsOf } from './labels.ts'
import { nameAgain, wake } from './mend.ts'
import type { Estate } from './network.ts'
import { ensureVolume, handOver } from './volume.ts'

/** The image's own user `node`. */
const user = '1000:1000'
const runFolder = '/run/gateway'
const stateFolder = '/var/lib/gateway-proxy'

export interface ProxyWish {
  /** What its image is made from: equal product, equal proxy. */
  readonly product: string
  readonly url: string | undefined
  readonly logLevel: string | undefined
  /** How it mounts the folder that holds the table's socket. */
  readonly run: { readonly Type: 'bind' | 'volume'; readonly Source: string }
  /** Which folder that is, where it can be deleted and made anew under a proxy, which then hears no controller any more. */
  readonly folder: string | undefined
}

export function proxySpec(instance: string, wish: ProxyWish): string {
  const { Image, Labels, ...made } = proxyContainer({ instance, wish, image: '', edge: '', name: '', spec: '' })
  return createHash('sha256')
    .update(JSON.stringify([wish.product, made, ...(wish.folder === undefined ? [] : [wish.folder])]))
    .digest('hex')
}

/** A proxy of that spec in the namespace of the edge that runs; one that is left in a dead namespace is replaced. */
export async function ensureProxy(estate: Estate, wish: ProxyWish, image: string, signal: AbortSignal): Promise<void> {
  const { engine, instance } = estate
  const edge = await runningEdge(estate, signal)
  const spec = proxySpec(instance, wish)
  const name = unitName(instance, 'proxy', spec)
  const volume = `${instance}-proxy`
  await nameAgain(estate, { instance, role: 'proxy', spec }, name, signal)
  const old = await engine.container(name, signal)
  if (old && !carries(old.Config.Labels, { instance, role: 'proxy' }))
    throw new Error(`container ${name} exists and is not ours: remove it, or choose another GATEWAY_INSTANCE`)
  const started = Date.parse(old?.State.StartedAt ?? '')
  const runs = old?.State.Status === 'running' || old?.State.Status === 'paused'
  if (old && runs && started >= Date.parse(edge.State.StartedAt)) return wake(engine, old, signal)
  if (old) await engine.removeContainer(old.Id, 'even running', signal)
  await ensureVolume(estate, volume, { instance, role: 'proxy' }, signal)
  await handOver(estate, { name: `${name}-owner`, image, user, volumes: [volume], mode: 0o700 }, signal)
  const options = proxyContainer({ instance, wish, image, edge: edge.Id, name, spec })
  const made = await engine.createContainer(name, options, signal)
  if (made !== 'taken') await engine.startContainer(made.id, signal)
}

interface Making {
  readonly instance: string
  readonly wish: ProxyWish
  readonly image: string
  /** Id of the edge whose namespace it joins. */
  readonly edge: string
  readonly name: string
  readonly spec: string
}

function proxyContainer({ instance, wish, image, edge, name, spec }: Making): ContainerOptions {
  return {
    Image: image,
    Labels: labelsOf({ instance, role: 'proxy', spec }),
    User: user,
    Cmd: [...proxyCommand],
    Env: pairs({ HOME: '/tmp', ...proxyMemory, ...environment(name, wish) }),
    StopTimeout: grace,
    HostConfig: {
      ...confined,
      NetworkMode: `container:${edge}`,
      SecurityOpt: ['no-new-privileges:true'],
      Tmpfs: { '/tmp': 'rw,nosuid,nodev,noexec,mode=1777,size=64m' },
      Mounts: [
        { ...wish.run, Target: runFolder, ReadOnly: true },
        { Type: 'volume', Source: `${instance}-proxy`, Target: stateFolder, ReadOnly: false },
      ],
    },
  }
}

function environment(name: string, { url, logLevel }: ProxyWish): Partial<Record<ProxyVariable, string>> {
  return {
    GATEWAY_PROXY_NAME: name,
    GATEWAY_PROXY_LISTEN: `0.0.0.0:${proxyPort}`,
    GATEWAY_TABLE_SOCKET: `${runFolder}/table.sock`,
    GATEWAY_PROXY_STATE: stateFolder,
    ...(url === undefined ? {} : { GATEWAY_URL: url }),
    ...(logLevel === undefined ? {} : { LOG_LEVEL: logLevel }),
  }
}
