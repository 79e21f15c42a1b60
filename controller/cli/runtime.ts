import { accessSync, constants, existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { z } from 'zod'
import type { Server } from '../desired.ts'
import type { Engine } from '../docker/engine.ts'
import { HostDown } from '../host.ts'
import { openEngineHere } from './engine.ts'
import { Fault } from './fault.ts'

export type Runtime = 'docker' | 'process'

export interface Choice {
  readonly runtime: Runtime
  /** In words a person would say. */
  readonly because: string
}

/** What the images of this project are built from. */
export const baseImage = 'node:24-bookworm-slim'
type Images = Pick<Engine, 'image' | 'pull'>

const pullWithin = 60_000

/** Docker where an engine answers and the base image is there or comes within a minute, else plain processes. */
export async function chooseRuntime(signal: AbortSignal, asked?: Images): Promise<Choice> {
  try {
    const engine = asked ?? openEngineHere()
    if ((await engine.image(baseImage, signal)) !== undefined)
      return { runtime: 'docker', because: `an engine answers, and has ${baseImage}` }
    const failure = await pull(engine, signal)
    if (failure === '') return { runtime: 'docker', because: `an engine answers, and pulled ${baseImage}` }
    return { runtime: 'process', because: `a Docker engine answers, but ${baseImage} is not there: ${failure}` }
  } catch (error) {
    if (error instanceof HostDown || error instanceof Fault) return { runtime: 'process', because: error.message }
    throw error
  }
}

/** What was wrong, empty for nothing. */
async function pull(engine: Images, signal: AbortSignal): Promise<string> {
  const late = AbortSignal.timeout(pullWithin)
  try {
    return await engine.pull(baseImage, undefined, AbortSignal.any([signal, late]))
  } catch (error) {
    signal.throwIfAborted()
    if (late.aborted) return `it could not be pulled within ${pullWithin / 1000} s`
    return error instanceof Error ? error.message : String(error)
  }
}

const Package = z.object({ engines: z.record(z.string(), z.string()).default({}) })

/** Why a server cannot run in this runtime, on this machine; undefined if it can. `tree` holds its commit's files. */
export async function whyNot(server: Server, tree: string, runtime: Runtime): Promise<string | undefined> {
  const { runs } = server
  if (runtime === 'docker' || runs.kind === 'url') return undefined
  if (runs.kind === 'image' || server.command === undefined) return 'only Docker can run it'
  const folder = 'path' in runs.input.dockerfile ? dirname(runs.input.dockerfile.path) : ''
  const file = join(tree, runs.input.context, folder, 'package.json')
  if (!existsSync(file)) return undefined
  const { engines } = Package.parse(JSON.parse(await readFile(file, 'utf8')))
  const missing = Object.keys(engines).filter((name) => name !== 'node' && name !== 'npm' && !isOnPath(name))
  return missing.length === 0 ? undefined : `it needs ${missing.join(' and ')}, which is not on the PATH`
}

function isOnPath(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => isExecutable(join(folder, program)))
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
