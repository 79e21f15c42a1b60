import type { Config } from '../config/config.ts'
import { openEngine } from '../docker/docker.ts'
import { type Check, fail, ok, warn, wordsOf } from './check.ts'

/** API 1.41 is the oldest that was tried; BuildKit is part of every engine that speaks it. */
const oldestApi = 41
const answerWithin = 15_000

/** Engine, builder and base image; or what the process runtime lacks. */
export async function checkRuntime(
  { runtime, engine }: Pick<Config, 'runtime' | 'engine'>,
  baseImage: string,
): Promise<readonly Check[]> {
  if (runtime === 'process')
    return [warn('runtime', 'servers run as plain processes, without a sandbox: for trying out; docker is for good')]
  const signal = AbortSignal.timeout(answerWithin)
  const asked = openEngine(engine)
  try {
    const { Version, ApiVersion } = await asked.version(signal)
    const image = await asked.image(baseImage, signal)
    return [
      versionCheck(Version, ApiVersion),
      image === undefined
        ? warn(
            'base image',
            `${baseImage} is not there: the first build pulls it; "docker pull ${baseImage}" tries that`,
          )
        : ok('base image', `${baseImage} is there`),
    ]
  } catch (error) {
    return [fail('engine', signal.aborted ? 'the Docker engine does not answer' : wordsOf(error))]
  }
}

function versionCheck(version: string, api: string): Check {
  const [, minor = '0'] = api.split('.')
  const said = `Docker ${version}, API ${api}`
  if (Number(minor) < oldestApi) return fail('engine', `${said}: too old, needed is API 1.${oldestApi}`)
  return ok('engine', `${said}, with BuildKit`)
}
