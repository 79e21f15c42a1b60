import { createWire } from './wire.ts'

/** What a server is doing now, or a line of its build; `gateway` stands for edge and proxies. */
export interface Word {
  readonly server: string
  readonly about: 'doing' | 'build'
  readonly text: string
}

/** Tells what goes on to whoever listens, and keeps the output of each server's last build. */
export interface Narration {
  doing(server: string, text: string): void
  /** Begins a build; gives what takes the lines of its output. */
  build(server: string): (line: string) => void
  /** Output of the last build, a line each; undefined if there was none since the controller started. */
  lastBuild(server: string): readonly string[] | undefined
  /** Yields what is told from this moment on; undefined after each `beat` ms of silence. Ends with the signal. */
  listen(beat: number, signal: AbortSignal): AsyncGenerator<Word | undefined>
}

/** Lines of a build that are kept; its last words matter most. */
const keptLines = 2_000
const longestLine = 2_000

/** What a slow listener may have unheard before it misses the oldest. */
const unheard = 2_000

export function createNarration(): Narration {
  const wire = createWire<Word>()
  const builds = new Map<string, string[]>()
  const doings = new Map<string, string>()
  let told = 0
  const tell = (word: Word) => wire.say(`${told++ % unheard}`, word)
  return {
    doing(server, text) {
      if (doings.get(server) === text) return
      doings.set(server, text)
      tell({ server, about: 'doing', text })
    },
    build(server) {
      const lines: string[] = []
      builds.set(server, lines)
      return (line) => {
        const text = line.slice(0, longestLine)
        if (lines.push(text) > keptLines) lines.shift()
        tell({ server, about: 'build', text })
      }
    },
    lastBuild: (server) => builds.get(server),
    listen: (beat, signal) => wire.listen(beat, signal),
  }
}
