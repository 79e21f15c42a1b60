import { simpleGit } from 'simple-git'
import { accessEnvironment, type GitAccess, gitEnvironment, type Inherited } from './git-environment.ts'
import { detail, explainGit, type Scene, SourceDown } from './git-fault.ts'
import { type Git, type GitRun, MirrorBroken } from './mirror.ts'

/** What git runs in. */
export interface Surroundings extends GitAccess {
  /** Absolute path of the state folder, above which git looks for no repository. */
  readonly state: string
  readonly inherited?: Inherited
}

/** git as this source runs it: with credentials only where it speaks to the remote, and with errors that say what to change. */
export function createGit(scene: Scene, options: Surroundings): Git {
  const local = { ...gitEnvironment(scene.home, options.inherited ?? {}), GIT_CEILING_DIRECTORIES: options.state }
  const remote = { ...local, ...accessEnvironment(scene.repository, options) }
  return async (args, run) => {
    const late = AbortSignal.timeout(run.limit)
    const base = { ...(run.remote === true ? remote : local), ...run.env }
    const env = run.folder === undefined ? base : { ...base, GIT_DIR: run.folder }
    let said = ''
    const git = simpleGit({
      baseDir: scene.home,
      abort: run.signal === undefined ? late : AbortSignal.any([run.signal, late]),
      allowEnvironment: Object.keys(env).filter((name) => name.startsWith('GIT_')),
      unsafe: { allowUnsafeConfigEnvCount: true, allowUnsafeSshCommand: true, allowUnsafeGpgProgram: true },
      errors: (error, { exitCode, stdErr }) => {
        said = Buffer.concat(stdErr).toString()
        return error ?? (exitCode === 0 || run.answers?.includes(exitCode) ? undefined : Buffer.from(detail(said)))
      },
    }).env(env)
    try {
      return await git.raw([...args])
    } catch (cause) {
      run.signal?.throwIfAborted()
      throw fault({ scene, run, doing: `git ${args[0]}`, late: late.aborted, said }, cause)
    }
  }
}

interface Failure {
  readonly scene: Scene
  readonly run: GitRun
  readonly doing: string
  readonly late: boolean
  readonly said: string
}

function fault({ scene, run, doing, late, said }: Failure, cause: unknown): SourceDown | MirrorBroken {
  const { label } = scene.repository
  if (late)
    return new SourceDown(`${label}: ${doing} took more than ${run.limit / 1_000} s; tried again by itself`, { cause })
  const advice = explainGit(said, scene, run.remote === true)
  if (advice !== undefined) return new SourceDown(`${label}: ${advice}`, { cause })
  if (run.folder !== undefined) return new MirrorBroken(detail(said), { cause })
  return new SourceDown(`${label}: ${doing} failed: ${detail(said)}`, { cause })
}
