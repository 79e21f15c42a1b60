import { Agent, type ClientRequestArgs } from 'node:http'
import type { Duplex } from 'node:stream'
import Docker from 'dockerode'
import { ask } from './call.ts'
import type { BuildOptions } from './engine.ts'
import { progressLines } from './progress.ts'

/** ms */
export const longestBuild = 30 * 60_000

/** dockerode decodes BuildKit's progress; its types do not know yet. */
export class Follower extends Docker {
  declare followProgress: (
    stream: NodeJS.ReadableStream,
    done: (error: Error | null) => void,
    progress: (event: unknown) => void,
  ) => void
  /** These take a signal, of which the types do not know either. */
  ask(what: 'info' | 'df', abortSignal: AbortSignal): Promise<unknown> {
    const call: (options: { readonly abortSignal: AbortSignal }) => Promise<unknown> = Reflect.get(this, what)
    return call.call(this, { abortSignal })
  }
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

export async function runBuild({ tar, options, log, socketPath }: Build, signal: AbortSignal): Promise<string> {
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
export function follow(docker: Follower, stream: NodeJS.ReadableStream, log: (line: string) => void): Promise<string> {
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
