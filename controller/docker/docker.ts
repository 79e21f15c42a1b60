import Docker from 'dockerode'
import { z } from 'zod'
import { type Host, HostDown } from '../host.ts'
import { readContainer, readImages, readInfo, readListed, readNetworks, readUsage } from './answers.ts'
import { absent, ask, either, look } from './call.ts'
import { pairs } from './container.ts'
import type { BuildOptions, Engine, NetworkOptions } from './engine.ts'
import { linesOf, told } from './events.ts'
import { BuildAgent, type FollowProgress, follow, longestBuild } from './follower.ts'
import { createDockerHost, type DockerHostOptions } from './host.ts'
import { type OwnContainer, readOwnContainer } from './own.ts'

export type { DockerHostOptions }

const engineSocket = '/var/run/docker.sock'
const minute = 60_000
const Options = z.custom<Docker.ContainerCreateOptions>((value) => typeof value === 'object')

/** Throws `HostDown` when the engine does not answer, and one clear line for what this machine cannot give. */
export function openDockerHost(options: DockerHostOptions, signal: AbortSignal, socketPath?: string): Promise<Host> {
  return createDockerHost(openEngine(socketPath), options, signal)
}

/** The container that this process runs in, as the engine sees it; undefined for a process of the machine. */
export function ownContainer(signal: AbortSignal, socketPath?: string): Promise<OwnContainer | undefined> {
  return readOwnContainer(openEngine(socketPath), signal)
}

/** The API's version is left to the engine: the oldest that we meet ends at 1.41, the newest begins at 1.44. */
export function openEngine(socketPath = engineSocket): Engine {
  const docker = new Follower({ socketPath })
  return {
    ...containers(docker),
    ...changes(docker),
    ...output(docker),
    ...images(docker, socketPath),
    ...networks(docker),
    ...volumes(docker),
  }
}

function containers(docker: Docker) {
  const inspect = (id: string, signal: AbortSignal) =>
    absent(look(signal, async (abortSignal) => readContainer(await docker.getContainer(id).inspect({ abortSignal }))))
  const create = async (options: Docker.ContainerCreateOptions, signal: AbortSignal) => {
    const call = (abortSignal: AbortSignal) => docker.createContainer({ ...options, abortSignal })
    const made = await either(409, ask(signal, call, minute), 'taken' as const)
    return made === 'taken' ? made : { id: made.id }
  }
  return {
    container: inspect,
    async containers(labels, signal) {
      const filters = { label: pairs(labels) }
      const options = { all: true, filters }
      const list = () =>
        look(signal, async (abortSignal) => readListed(await docker.listContainers({ ...options, abortSignal })))
      const listed = await list()
      const all = (await Promise.all(listed.map(({ Id }) => inspect(Id, signal)))).filter((one) => one !== undefined)
      if (all.length < listed.length) refuseUnknown(await list(), listed, all)
      return all
    },
    createContainer: (name, options, signal) => create({ ...options, name }, signal),
    createLike: (name, options, signal) => create({ ...Options.parse(options), name }, signal),
    describe: (what, id, signal) =>
      absent(
        look<unknown>(signal, (abortSignal) =>
          what === 'container'
            ? docker.getContainer(id).inspect({ abortSignal })
            : docker.getImage(id).inspect({ manifests: false, ...{ abortSignal } }),
        ),
      ),
    async startContainer(id, signal) {
      const call = (abortSignal: AbortSignal) => docker.getContainer(id).start({ abortSignal })
      await either(304, ask(signal, call, minute), undefined)
    },
    async stopContainer(id, seconds, signal) {
      const call = (abortSignal: AbortSignal) => docker.getContainer(id).stop({ t: seconds, abortSignal })
      await either(304, absent(ask(signal, call, seconds * 1_000 + minute)), undefined)
    },
    async removeContainer(id, how, signal) {
      const options = { v: true, force: how === 'even running' }
      const call = (abortSignal: AbortSignal) => docker.getContainer(id).remove({ ...options, ...{ abortSignal } })
      await absent(ask(signal, call, minute))
    },
  } satisfies Partial<Engine>
}

interface Known {
  readonly Id: string
}

/** What was removed between list and inspection is no longer listed; an engine that goes on listing what it does not know is broken. */
function refuseUnknown(now: readonly Known[], before: readonly Known[], all: readonly Known[]): void {
  const found = new Set(all.map(({ Id }) => Id))
  const still = new Set(now.map(({ Id }) => Id))
  const odd = before.find(({ Id }) => !found.has(Id) && still.has(Id))
  if (odd !== undefined)
    throw new HostDown(`the Docker engine lists container ${odd.Id.slice(0, 12)} and does not know it: not believed`)
}

function changes(docker: Docker) {
  return {
    async unpauseContainer(id, signal) {
      await ask(signal, (abortSignal) => docker.getContainer(id).unpause({ abortSignal }))
    },
    async renameContainer(id, name, signal) {
      const options = { name }
      await ask(signal, (abortSignal) => docker.getContainer(id).rename({ ...options, ...{ abortSignal } }))
    },
    async updateContainer(id, changes, signal) {
      await ask(signal, (abortSignal) => docker.getContainer(id).update({ ...changes, ...{ abortSignal } }))
    },
  } satisfies Partial<Engine>
}

function output(docker: Docker) {
  return {
    logs(id, tail, signal) {
      const options = { stdout: true, stderr: true, tail, follow: false } as const
      return ask(signal, (abortSignal) => docker.getContainer(id).logs({ ...options, abortSignal }))
    },
    async events(signal) {
      const filters = JSON.stringify(told)
      return linesOf(await ask(signal, () => docker.getEvents({ filters, abortSignal: signal })))
    },
    follow(id, tail, signal) {
      const options = { stdout: true, stderr: true, tail, follow: true } as const
      return ask(signal, () => docker.getContainer(id).logs({ ...options, abortSignal: signal }))
    },
    version: (signal) => ask(signal, () => docker.version()),
    download(id, path, signal) {
      return absent(ask(signal, (abortSignal) => docker.getContainer(id).getArchive({ path, abortSignal })))
    },
    async upload(id, folder, tar, signal) {
      await ask(signal, (abortSignal) => docker.getContainer(id).putArchive(tar, { path: folder, abortSignal }))
    },
  } satisfies Partial<Engine>
}

function images(docker: Follower, socketPath: string) {
  return {
    images(labels, signal) {
      const options = { filters: { label: pairs(labels) } }
      return look(signal, async (abortSignal) =>
        readImages(await docker.listImages({ ...options, ...{ abortSignal } })),
      )
    },
    image(ref, signal) {
      return absent(
        look(signal, (abortSignal) => docker.getImage(ref).inspect({ manifests: false, ...{ abortSignal } })),
      )
    },
    build: (tar, options, log, signal) => runBuild({ tar, options, log, socketPath }, signal),
    pull(ref, credential, signal) {
      const options = credential === undefined ? {} : { authconfig: credential }
      const call = async (abortSignal: AbortSignal) =>
        follow(docker, await docker.pull(ref, { ...options, abortSignal }), () => {})
      return ask(signal, call, longestBuild)
    },
    folder: (signal) =>
      look(signal, async (abortSignal) => readInfo(await docker.ask('info', abortSignal)).DockerRootDir),
    usage: (signal) =>
      look(signal, async (abortSignal) => {
        const { Images, BuildCache } = readUsage(await docker.ask('df', abortSignal))
        return { images: Images ?? [], cache: BuildCache ?? [] }
      }),
    async tagImage(id, repo, tag, signal) {
      await ask(signal, (abortSignal) => docker.getImage(id).tag({ repo, tag, ...{ abortSignal } }))
    },
    async removeImage(ref, signal) {
      const call = (abortSignal: AbortSignal) => docker.getImage(ref).remove({ abortSignal })
      const kept = await either(409, absent(ask(signal, call, minute)), 'kept' as const)
      return kept === 'kept' ? kept : 'removed'
    },
  } satisfies Partial<Engine>
}

function networks(docker: Docker) {
  return {
    networks: (signal) =>
      look(signal, async (abortSignal) => readNetworks(await docker.listNetworks({ ...{ abortSignal } }))),
    async createNetwork({ subnet, ...options }: NetworkOptions, signal) {
      const addresses = subnet === undefined ? {} : { IPAM: { Driver: 'default', Config: [{ Subnet: subnet }] } }
      const call = (abortSignal: AbortSignal) =>
        docker.createNetwork({ ...options, ...addresses, Driver: 'bridge', CheckDuplicate: true, abortSignal })
      await ask(signal, call)
    },
    async connect(network, container, signal) {
      const options = { Container: container }
      await ask(signal, (abortSignal) => docker.getNetwork(network).connect({ ...options, ...{ abortSignal } }))
    },
    async disconnect(network, container, signal) {
      const options = { Container: container }
      await absent(ask(signal, (abortSignal) => docker.getNetwork(network).disconnect({ ...options, abortSignal })))
    },
    async removeNetwork(network, signal) {
      await absent(ask(signal, (abortSignal) => docker.getNetwork(network).remove({ abortSignal })))
    },
  } satisfies Partial<Engine>
}

function volumes(docker: Docker) {
  return {
    async volumes(labels, signal) {
      const filters = { label: pairs(labels) }
      const { Volumes } = await look(signal, (abortSignal) => docker.listVolumes({ filters, abortSignal }))
      return Volumes.map(({ Name }) => Name)
    },
    async volume(name, signal) {
      const found = await absent(look(signal, (abortSignal) => docker.getVolume(name).inspect({ abortSignal })))
      return found && (found.Labels ?? {})
    },
    async createVolume(name, labels, signal) {
      const options = { Name: name, Labels: labels }
      await ask(signal, (abortSignal) => docker.createVolume({ ...options, abortSignal }))
    },
    async removeVolume(name, signal) {
      await absent(ask(signal, (abortSignal) => docker.getVolume(name).remove({ abortSignal })))
    },
  } satisfies Partial<Engine>
}

/** What dockerode does and its types do not know. */
class Follower extends Docker {
  declare followProgress: FollowProgress
  /** These take a signal, of which the types do not know either. */
  ask(what: 'info' | 'df', abortSignal: AbortSignal): Promise<unknown> {
    const call: (options: { readonly abortSignal: AbortSignal }) => Promise<unknown> = Reflect.get(this, what)
    return call.call(this, { abortSignal })
  }
}

interface Build {
  readonly tar: NodeJS.ReadableStream
  readonly options: BuildOptions
  readonly log: (line: string) => void
  readonly socketPath: string
}

async function runBuild({ tar, options, log, socketPath }: Build, signal: AbortSignal): Promise<string> {
  const agent = new BuildAgent()
  const docker = new Follower({ socketPath, ...{ agent } })
  const call = async (abortSignal: AbortSignal) =>
    follow(docker, await docker.buildImage(tar, { ...options, version: '2', abortSignal }), log)
  try {
    return await ask(signal, call, longestBuild)
  } finally {
    agent.destroy()
  }
}
