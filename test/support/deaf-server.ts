import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** An address of which connecting gets no answer, as of a machine that is gone. Linux only. */
export interface DeafServer extends AsyncDisposable {
  readonly origin: string
}

const program = `require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
  console.log(this.address().port)
})`

/** A process that is stopped, with so many connections that it has not taken that the kernel drops every other one. */
export async function openDeafServer(): Promise<DeafServer> {
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = await once(child.stdout, 'data')
  const port = Number(said)
  child.kill('SIGSTOP')
  const held = Array.from({ length: 4 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  await Promise.race([Promise.all(held.slice(0, 2).map((socket) => once(socket, 'connect'))), sleep(1_000)])
  return {
    origin: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of held) socket.destroy()
      child.kill('SIGKILL')
      await once(child, 'close')
    },
  }
}
