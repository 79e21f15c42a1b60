import {
  accessEnvironment,
  accessSettings,
  type GitAccess,
  gitConfig,
  gitEnvironment,
  type Inherited,
} from './git-environment.ts'
import { detail, explainGit, type Scene, SourceDown } from './git-fault.ts'
import { GitStopped, runGroup } from './git-group.ts'
import { sweepLeftovers } from './leftovers.ts'
import { type Limits, usualLimits } from './limits.ts'
import { type Git, type GitRun, MirrorBroken } from './mirror.ts'

/** What git runs in. */
export interface Surroundings extends GitAccess {
  /** Absolute path of the state folder, above which git looks for no repository. */
  readonly state: string
  readonly inherited?: Inherited
  readonly limits?: Limits
}

/** git as this source runs it: with credentials only where it speaks to the remote, and with errors that say what to change. */
export function createGit(scene: Scene, options: Surroundings): Git {
  const { silence } = options.limits ?? usualLimits
  const local = { ...gitEnvironment(scene.home, options.inherited ?? {}), GIT_CEILING_DIRECTORIES: options.state }
  const remote = { ...local, ...accessEnvironment(scene.repository, options) }
  const access = accessSettings(scene.repository, options, silence)
  return async (args, run) => {
    const late = AbortSignal.timeout(run.limit)
    const settings = { ...(run.remote === true ? access : {}), ...run.settings }
    const base = { ...(run.remote === true ? remote : local), ...gitConfig(settings), ...run.env }
    const env = run.folder === undefined ? base : { ...base, GIT_DIR: run.folder }
    const signal = run.signal === undefined ? late : AbortSignal.any([run.signal, late])
    try {
      return await ask(args, { run, env, cwd: scene.home, signal })
    } catch (cause) {
      run.signal?.throwIfAborted()
      throw fault({ scene, run, doing: `git ${args[0]}`, late: late.aborted }, cause)
    }
  }
}

/** git ended with an error; the message is all that it said. */
class GitFailed extends Error {}

interface Call {
  readonly run: GitRun
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly signal: AbortSignal
}

function isAnswer({ answers }: GitRun, code: number | null): boolean {
  return code === 0 || (code !== null && answers?.includes(code) === true)
}

async function ask(args: readonly string[], { run, ...group }: Call): Promise<string> {
  try {
    const { code, stdout, stderr } = await runGroup(args, { ...group, standstill: run.standstill, memory: run.memory })
    if (isAnswer(run, code)) return stdout
    throw new GitFailed(stderr)
  } finally {
    if (run.remote === true && run.folder !== undefined) await sweepLeftovers(run.folder)
  }
}

interface Failure {
  readonly scene: Scene
  readonly run: GitRun
  readonly doing: string
  readonly late: boolean
}

function fault({ scene, run, doing, late }: Failure, cause: unknown): SourceDown | MirrorBroken {
  const { label } = scene.repository
  const ended = late ? `took more than ${run.limit / 1_000} s` : cause instanceof GitStopped ? cause.message : undefined
  if (ended !== undefined) return new SourceDown(`${label}: ${doing} ${ended}; tried again by itself`, { cause })
  const said = cause instanceof GitFailed ? cause.message : String(cause)
  const advice = explainGit(said, scene, run.remote === true)
  if (advice !== undefined) return new SourceDown(`${label}: ${advice}`, { cause })
  if (run.folder !== undefined) return new MirrorBroken(detail(said), { cause })
  return new SourceDown(`${label}: ${doing} failed: ${detail(said)}`, { cause })
}
