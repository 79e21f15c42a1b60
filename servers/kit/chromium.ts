import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import type { Environment } from './environment.ts'
import { firstLine } from './first-line.ts'
import { log } from './log.ts'

const programs = ['chromium-headless-shell', 'chromium']
const launchLimit = 20_000

/** The Chromium to run. `unsandboxed` is the reason why it runs without its own sandbox, where it does. */
export interface ChromiumProgram {
  readonly path: string
  readonly unsandboxed?: string
}

/**
 * Finds Chromium: `CHROMIUM_PATH`, else `chromium-headless-shell` or `chromium` on the PATH.
 *
 * @throws Error that says what to install or to set.
 */
export function findChromium(env: Environment, uid = process.getuid?.()): ChromiumProgram {
  const path = env.CHROMIUM_PATH ? chosen(env.CHROMIUM_PATH) : onPath(env.PATH ?? '')
  if (env.RENDER_NO_SANDBOX === '1') return { path, unsandboxed: 'RENDER_NO_SANDBOX=1' }
  if (uid === 0) return { path, unsandboxed: 'started by root, for whom Chromium has no sandbox' }
  return { path }
}

function chosen(path: string): string {
  if (isAbsolute(path) && isProgram(path)) return path
  throw new Error(`CHROMIUM_PATH=${path}: not a program that can be run here; give the absolute path of Chromium`)
}

function onPath(path: string): string {
  const folders = path.split(delimiter).filter((folder) => folder !== '')
  const candidates = programs.flatMap((program) => folders.map((folder) => join(folder, program)))
  const found = candidates.find(isProgram)
  if (found !== undefined) return found
  throw new Error(
    `no Chromium: neither ${programs.join(' nor ')} is on the PATH; install Debian's chromium-headless-shell, or set CHROMIUM_PATH`,
  )
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile()
  } catch {
    return false
  }
}

/** `findChromium`, and a line in the log that says whether it will run in its own sandbox. */
export function chooseChromium(env: Environment): ChromiumProgram {
  const program = findChromium(env)
  if (program.unsandboxed === undefined) log.info({ chromium: program.path }, 'Chromium runs in its own sandbox')
  else log.warn({ chromium: program.path, reason: program.unsandboxed }, 'Chromium runs without its own sandbox')
  return program
}

/**
 * Starts Chromium with no way to any network: a proxy that refuses every connection, for loopback too, no names, no
 * UDP. Its pages have at most 512 MB for scripts, so that a greedy one ends itself and not its container.
 *
 * @throws Error that says what to change where Chromium does not start.
 */
export async function launchChromium(program: ChromiumProgram): Promise<Browser> {
  try {
    return await chromium.launch({
      executablePath: program.path,
      chromiumSandbox: program.unsandboxed === undefined,
      timeout: launchLimit,
      handleSIGINT: false,
      handleSIGTERM: false,
      handleSIGHUP: false,
      args: [
        '--proxy-server=127.0.0.1:9',
        '--proxy-bypass-list=<-loopback>',
        '--host-resolver-rules=MAP * ~NOTFOUND',
        '--force-webrtc-ip-handling-policy=disable_non_proxied_udp',
        '--js-flags=--max-old-space-size=512',
      ],
    })
  } catch (cause) {
    throw new Error(whyNot(program, cause), { cause })
  }
}

function whyNot(program: ChromiumProgram, cause: unknown): string {
  const said = cause instanceof Error ? cause.message : String(cause)
  if (/sandbox|clone|namespace/i.test(said) && program.unsandboxed === undefined)
    return `${program.path}: its sandbox cannot start, because user namespaces are not permitted here; run it with a seccomp profile that permits them (seccomp: chromium in the manifest), or set RENDER_NO_SANDBOX=1`
  return `${program.path} does not start: ${firstLine(cause)}`
}
