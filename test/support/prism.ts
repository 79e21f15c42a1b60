import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { freePort } from './port.ts'
import { until } from './until.ts'

/** Prism between a client and a server: it answers with an error where a request or an answer departs from a contract. */
export interface Prism extends AsyncDisposable {
  readonly url: string
  /** What departed from the contract so far. */
  readonly faults: () => readonly string[]
}

const program = fileURLToPath(new URL('../../node_modules/@stoplight/prism-cli/dist/index.js', import.meta.url))

/** `contract` is the path of an OpenAPI file, `upstream` the server's address. */
export async function openPrism(contract: string, upstream: string): Promise<Prism> {
  const port = await freePort()
  const args = ['proxy', contract, upstream, '--errors', '--host', '127.0.0.1', '--port', String(port)]
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'exit')
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  await until('Prism listens', () => output.includes('Prism is listening') || isOver(), 60_000)
  return {
    url: `http://127.0.0.1:${port}`,
    faults: () => output.split('\n').filter((line) => /terminated with error|violation/i.test(line)),
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }

  function isOver(): false {
    if (child.exitCode === null) return false
    throw new Error(`Prism ended:\n${output}`)
  }
}
