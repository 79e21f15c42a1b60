import { Agent, type ClientRequestArgs } from 'node:http'
import type { Duplex } from 'node:stream'
import Docker from 'dockerode'
import { z } from 'zod'
import type { Host } from '../host.ts'
import { absent, ask, either, look } from './call.ts'
import type { BuildOptions, Engine, Labels, NetworkOptions } from './engine.ts'
import { createDockerHost, type DockerHostOptions } from './host.ts'
import { type OwnContainer, readOwnContainer } from './own.ts'
import { progressLines } from './progress.ts'

export type { DockerHostOptions }

const engineSocket = '/var/run/docker.sock'
const minute = 60_000
const longestBuild = 30 * minute
/** What is made like another container has what the engine itself said of that. */
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
    ...output(docker),
    ...images(docker, socketPath),
    ...networks(docker),
    ...volumes(docker),
  }
}

function containers(docker: Docker) {
  const inspect = (id: string, signal: AbortSignal) =>
    absent(look(signal, (abortSignal) => docker.getContainer(id).inspect({ abortSignal })))
  const create = async (options: Docker.ContainerCreateOptions, signal: AbortSignal) => {
    const call = (abortSignal: AbortSignal) => docker.createContainer({ ...options, abortSignal })
    const made = await either(409, ask(signal, call, minute), 'taken' as const)
    return made === 'taken' ? made : { id: made.id }
  }
  return {
    container: inspect,
    async containers(labels, signal) {
      const filters = { label: pairs(labels) }
      const listed = await look(signal, (abortSignal) => docker.listContainers({ all: true, filters, abortSignal }))
      const all = await Promise.all(listed.map(({ Id }) => inspect(Id, signal)))
      return all.filter((container) => container !== undefined)
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

function output(docker: Docker) {
  return {
    logs(id, tail, signal) {
      const options = { stdout: true, stderr: true, tail, follow: false } as const
      return ask(signal, (abortSignal) => docker.getContainer(id).logs({ ...options, abortSignal }))
    },
    events(labels, signal) {
      const told = { type: ['container' as const], event: ['start', 'die', 'destroy'] }
      const filters = { ...told, label: pairs(labels) }
      return ask(signal, () => docker.getEvents({ filters, abortSignal: signal }))
    },
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
      return look(signal, (abortSignal) => docker.listImages({ ...options, ...{ abortSignal } }))
    },
    image(ref, signal) {
      return absent(
        look(signal, (abortSignal) => docker.getImage(ref).inspect({ manifests: false, ...{ abortSignal } })),
      )
    },
    build: (tar, options, log, signal) => runBuild({ tar, options, log, socketPath }, signal),
    pull(ref, log, signal) {
      const call = async (abortSignal: AbortSignal) => follow(docker, await docker.pull(ref, { abortSignal }), log)
      return ask(signal, call, longestBuild)
    },
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
    networks: (signal) => look(signal, (abortSignal) => docker.listNetworks({ ...{ abortSignal } })),
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

/** dockerode decodes BuildKit's progress; its types do not know yet. */
class Follower extends Docker {
  declare followProgress: (
    stream: NodeJS.ReadableStream,
    done: (error: Error | null) => void,
    progress: (event: unknown) => void,
  ) => void
}

/** Remembers its connections: dockerode leaves a build's session open when the build is aborted or refused. */
class BuildAgent extends Agent {
  readonly #connections = new Set<Duplex>()
  override createConnection(options: ClientRequestArgs, done?: (error: Error | null, stream: Duplex) => void) {
    const connection = super.createConnection(options, done)
    if (connection) this.#connections.add(connection)
    return connection
  }
  override destroy(): void {
    for (const connection of this.#connections) connection.destroy()
    super.destroy()
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

/** The error that the stream tells, empty for none. */
function follow(docker: Follower, stream: NodeJS.ReadableStream, log: (line: string) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    let failure = ''
    const progress = (event: unknown) => {
      const { lines, error } = progressLines(event)
      for (const line of lines) log(line)
      failure = error ?? failure
    }
    docker.followProgress(stream, (error) => (error ? reject(error) : resolve(failure)), progress)
  })
}

function pairs(labels: Labels): string[] {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`)
}
