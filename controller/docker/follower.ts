import { Agent, type ClientRequestArgs } from 'node:http'
import type { Duplex } from 'node:stream'
import { progressLines } from './progress.ts'

/** ms */
export const longestBuild = 30 * 60_000

/** dockerode decodes BuildKit's progress; its types do not know yet. */
export type FollowProgress = (
  stream: NodeJS.ReadableStream,
  done: (error: Error | null) => void,
  progress: (event: unknown) => void,
) => void

/** Remembers its connections: dockerode leaves a build's session open when the build is aborted or refused. */
export class BuildAgent extends Agent {
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

/** The error that the stream tells, empty for none. */
export function follow(
  docker: { readonly followProgress: FollowProgress },
  stream: NodeJS.ReadableStream,
  log: (line: string) => void,
): Promise<string> {
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
