import { BuildSpec } from '#manifests/build.ts'
import { readBuildInput } from '../../controller/compile/build-input.ts'
import { openEngine } from '../../controller/docker/docker.ts'
import { packTar } from '../../controller/docker/tar.ts'
import { readEntries } from '../../controller/rollout.ts'
import { openFolder } from '../../controller/source/folder.ts'

export interface Image {
  readonly tag: string
  /** From the folder. Default: `Dockerfile`. */
  readonly dockerfile?: string
  readonly labels?: Record<string, string>
}

/** Has this machine's engine build a folder as it stands on disk, as `docker build` sends it; gives the image's id. */
export async function buildImage(folder: string, { tag, dockerfile = 'Dockerfile', labels = {} }: Image) {
  const signal = AbortSignal.timeout(600_000)
  const tree = await openFolder(folder)
  const blame = (_: string, message: string) => ({ file: '', line: 1, column: 1, at: '', message })
  const question = { spec: BuildSpec.parse({ dockerfile }), context: '', entries: await tree.list(), blame }
  const answer = await readBuildInput(tree, question, signal)
  if (!answer.ok) throw new Error(JSON.stringify(answer.faults))
  const tar = packTar(readEntries(tree, answer.input, signal))
  const lines: string[] = []
  const engine = openEngine()
  const options = { t: tag, dockerfile, labels, buildargs: {} }
  const failure = await engine.build(tar, options, (line) => lines.push(line), signal)
  const image = await engine.image(tag, signal)
  if (failure !== '' || image === undefined) throw new Error(`${failure}\n${lines.slice(-20).join('\n')}`)
  return image.Id
}
