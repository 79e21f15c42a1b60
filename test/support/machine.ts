import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs'
import { get, request } from 'node:http'
import { tmpdir } from 'node:os'
import { basename, delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeAll, describe, inject, test } from 'vitest'
import type { TestProject } from 'vitest/node'
import type { Layered } from './layers.ts'

/** What a suite may need of the machine, each with the reason why it is absent. */
export type Need = 'docker' | 'own-engine' | 'chromium' | 'cjk-font' | 'sshd' | 'shared-data' | 'tools' | 'tmpfs'

declare module 'vitest' {
  interface ProvidedContext {
    lacks: Partial<Record<Need, string>>
  }
}

export const baseImage = 'node:24-bookworm-slim'
export const engineSocket = '/var/run/docker.sock'

/** vitest's global set-up: looks once at what this machine has. */
export async function setup(project: TestProject): Promise<void> {
  const lacks: Partial<Record<Need, string>> = {}
  const docker = await lacksDocker()
  if (docker !== undefined) lacks.docker = docker
  const own = lacksOwnEngine()
  if (own !== undefined) lacks['own-engine'] = own
  const tools = ['curl', 'sed', 'mktemp', 'date', 'mkfifo'].filter((program) => !onPath(program))
  if (tools.length > 0) lacks.tools = `no ${tools.join(', ')} on the PATH`
  if (!onPath('chromium-headless-shell') && !onPath('chromium'))
    lacks.chromium = 'no chromium-headless-shell on the PATH'
  if (!hasFile('/usr/share/fonts', /^NotoSansCJK/)) lacks['cjk-font'] = 'no Noto Sans CJK (fonts-noto-cjk)'
  if (!existsSync('/usr/sbin/sshd')) lacks.sshd = 'no /usr/sbin/sshd'
  else if (!onPath('ssh') || !onPath('ssh-keygen')) lacks.sshd = 'no ssh and ssh-keygen on the PATH'
  if (!existsSync(new URL('../../../shared/data', import.meta.url))) lacks['shared-data'] = 'no ../shared/data'
  if (!mounts()) lacks.tmpfs = 'no file system may be mounted'
  project.provide('lacks', lacks)
}

async function lacksDocker(): Promise<string | undefined> {
  const status = await new Promise<number | undefined>((done) => {
    const asked = request({ socketPath: engineSocket, path: `/images/${baseImage}/json`, timeout: 3_000 }, (answer) => {
      answer.resume()
      done(answer.statusCode)
    })
    asked.on('error', () => done(undefined))
    asked.on('timeout', () => asked.destroy())
    asked.end()
  })
  if (status === undefined) return `no Docker engine answers at ${engineSocket}`
  return status === 200 ? undefined : `the engine has no image ${baseImage} (test/support/base-image.sh makes one)`
}

function hasFile(folder: string, name: RegExp): boolean {
  return (
    existsSync(folder) &&
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).some((file) => name.test(basename(file)))
  )
}

function mounts(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'gateway-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' })
    execFileSync('umount', [folder], { stdio: 'ignore' })
    return true
  } catch {
    return false
  } finally {
    rmdirSync(folder)
  }
}

/** What a test needs to start an engine with a network and a disk of its own. */
function lacksOwnEngine(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root starts an engine of its own'
  const missing = [
    'dockerd',
    'containerd',
    'unshare',
    'nsenter',
    'ip',
    'iptables',
    'mkfs.ext4',
    'mount',
    'curl',
  ].filter((program) => !onPath(program))
  return missing.length === 0 ? undefined : `no ${missing.join(', ')} on the PATH`
}

function onPath(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/**
 * A suite that needs something of the machine: skipped by name where that is absent, failed there if `REQUIRE_EVERY_SUITE` is set.
 * The layers of images that it builds are there before it begins.
 */
export function suite(name: string, needs: readonly (Need | Layered)[], body: () => void): void {
  const lacks: Readonly<Partial<Record<Need | Layered, string>>> = inject('lacks')
  const reasons = needs.flatMap((need) => lacks[need] ?? [])
  if (reasons.length === 0)
    describe(name, () => {
      for (const image of ['product', 'mermaid'] as const)
        if (needs.includes(image)) beforeAll(() => makeLayers(image), 600_000)
      body()
    })
  else if (process.env.REQUIRE_EVERY_SUITE)
    describe(name, () => {
      test('has what it needs', () => {
        throw new Error(reasons.join('; '))
      })
    })
  else describe.skip(`${name} (skipped: ${reasons.join('; ')})`, body)
}

async function makeLayers(image: Layered): Promise<void> {
  const [answer] = await once(get(`${inject('layers')}/${image}`), 'response')
  const said = await text(answer)
  if (answer.statusCode !== 200) throw new Error(said)
}
