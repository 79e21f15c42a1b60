import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import type { z } from 'zod'
import { openEngine } from '../../controller/docker/docker.ts'
import { labelsOf, mark } from '../../controller/docker/labels.ts'
import { plainText } from '../../controller/docker/log.ts'
import { engineSocket } from './machine.ts'
import type { Registry } from './registry.ts'

/** A name that no other test has at the same time, and that `removeInstance` accepts. */
export function testInstance(): string {
  return `test-${randomBytes(3).toString('hex')}`
}

/** Removes everything that carries the label of a test's instance: containers, networks, images, volumes. */
export async function removeInstance(instance: string, signal = AbortSignal.timeout(60_000)): Promise<void> {
  if (!instance.startsWith('test-')) throw new Error(`${instance} is no test's instance: nothing is removed`)
  const engine = openEngine()
  const ours = labelsOf({ instance })
  for (const { Id } of await engine.containers(ours, signal)) await engine.removeContainer(Id, 'even running', signal)
  for (const { Id, Labels } of await engine.networks(signal))
    if (mark(Labels, 'instance') === instance) await engine.removeNetwork(Id, signal)
  for (const { Id, RepoTags } of await engine.images(ours, signal))
    for (const ref of RepoTags ?? [Id]) await engine.removeImage(ref, signal)
  for (const name of await engine.volumes(ours, signal)) await engine.removeVolume(name, signal)
}

/** Runs a program in a running container, and gives its exit code and all that it printed. */
export async function runIn(
  container: string,
  command: readonly string[],
  options: { readonly User?: string } = {},
): Promise<{ readonly code: number; readonly output: string }> {
  const making = { Cmd: command, AttachStdout: true, AttachStderr: true, ...options }
  const { Id } = JSON.parse(String(await post(`/containers/${container}/exec`, making)))
  const output = plainText(await post(`/exec/${Id}/start`, { Detach: false, Tty: false }))
  const { ExitCode } = JSON.parse(String(await ask('GET', `/exec/${Id}/json`)))
  return { code: ExitCode, output }
}

/** GETs from inside a container that has Node: the body of a 2xx answer, else an error. */
export async function fetchIn(container: string, url: string): Promise<string> {
  const program = `fetch(${JSON.stringify(url)}, { signal: AbortSignal.timeout(3000) }).then(
    async (answer) => { process.stdout.write(await answer.text()); process.exitCode = answer.ok ? 0 : 1 },
    (error) => { process.stdout.write(String(error.cause?.code ?? error)); process.exitCode = 1 })`
  const { code, output } = await runIn(container, ['node', '-e', program])
  if (code !== 0) throw new Error(`GET ${url}: ${output}`)
  return output
}

/** One call of the engine's API that `Engine` does not have, as tests need some. */
export function post(path: string, body: unknown): Promise<Buffer> {
  return ask('POST', path, JSON.stringify(body))
}

/** What the engine says of a container, a network or an image, by its path: `/containers/<id>/json`. */
export async function inspect<T>(path: string, shape: z.ZodType<T>): Promise<T> {
  return shape.parse(JSON.parse(String(await ask('GET', path))))
}

/** The same as it comes: a log, a tar. */
export function read(path: string): Promise<Buffer> {
  return ask('GET', path)
}

/** Pushes an image to a registry; its answer is a stream of JSON that tells an error, too. */
export async function push(ref: string, { user, password, name }: Registry): Promise<void> {
  const auth = { username: user, password, serveraddress: name }
  const more = { 'x-registry-auth': Buffer.from(JSON.stringify(auth)).toString('base64url') }
  const told = String(
    await ask('POST', `/images/${ref.replace(/:[^:]*$/, '')}/push?tag=${ref.replace(/.*:/, '')}`, '', more),
  )
  if (told.includes('errorDetail')) throw new Error(told)
}

function ask(
  method: string,
  path: string,
  body?: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const headers = { ...more, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
    const asked = request({ socketPath: engineSocket, method, path, headers, timeout: 120_000 }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        const whole = Buffer.concat(chunks)
        if ((answer.statusCode ?? 500) < 300) resolve(whole)
        else reject(new Error(`${method} ${path}: ${answer.statusCode} ${whole}`))
      })
    })
    asked.on('error', reject)
    asked.on('timeout', () => asked.destroy(new Error(`${method} ${path}: no answer`)))
    asked.end(body)
  })
}
