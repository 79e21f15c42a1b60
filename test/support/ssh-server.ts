import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './port.ts'

const run = promisify(execFile)

/** A real sshd on loopback that lets one key in, as the user of this process. */
export interface SshServer extends AsyncDisposable {
  /** Of a repository of this machine, through ssh. */
  url(bare: string): string
  readonly host: string
  /** Private key that is let in, and one that is not. */
  readonly key: string
  readonly strangerKey: string
  /** known_hosts with the server's key, and one with another. */
  readonly knownHosts: string
  readonly wrongKnownHosts: string
  /** The shell commands that whoever comes in gets; git's own is in `$SSH_ORIGINAL_COMMAND`. */
  serve(script: string): Promise<void>
}

/** What a git server does. */
export const properly = 'exec sh -c "$SSH_ORIGINAL_COMMAND"'

export async function serveSsh(): Promise<SshServer> {
  const folder = await mkdtemp(join(tmpdir(), 'gateway-sshd-'))
  const file = (name: string) => join(folder, name)
  for (const name of ['host', 'other-host', 'key', 'stranger'])
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file(name)])
  const port = await freePort()
  const line = async (name: string) => `[127.0.0.1]:${port} ${await readFile(file(`${name}.pub`), 'utf8')}`
  await writeFile(file('known'), await line('host'))
  await writeFile(file('wrong'), await line('other-host'))
  await writeFile(
    file('config'),
    `ListenAddress 127.0.0.1:${port}
HostKey ${file('host')}
AuthorizedKeysFile ${file('key.pub')}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
ForceCommand /bin/sh ${file('command')}
`,
  )
  const serve = (script: string) => writeFile(file('command'), script)
  await serve(properly)
  if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true })
  const sshd = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', file('config')], { stdio: 'ignore' })
  await accepts(port)
  return {
    url: (bare) => `ssh://${userInfo().username}@127.0.0.1:${port}${bare}`,
    host: `127.0.0.1:${port}`,
    key: file('key'),
    strangerKey: file('stranger'),
    knownHosts: file('known'),
    wrongKnownHosts: file('wrong'),
    serve,
    async [Symbol.asyncDispose]() {
      if (sshd.exitCode === null && sshd.kill()) await once(sshd, 'exit')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function accepts(port: number): Promise<void> {
  const deadline = Date.now() + 10_000
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const there = await new Promise<boolean>((done) => {
      socket.once('connect', () => done(true)).once('error', () => done(false))
    })
    socket.destroy()
    if (there) return
    if (Date.now() > deadline) throw new Error(`sshd does not listen on port ${port}`)
    await new Promise((done) => setTimeout(done, 50))
  }
}
