import { BuildSpec } from '#manifests/build.ts'
import { readBuildInput } from './compile/build-input.ts'
import { type BuildInput, describeFault, type Tree } from './desired.ts'
import type { BuildRequest } from './host.ts'
import { readEntries } from './rollout.ts'

/** What the product's Dockerfile takes; nothing else of a checkout makes another product. */
const paths = ['package.json', 'package-lock.json', 'manifests', 'controller', 'proxy', 'stdio']

/** What the product is built from, out of its own sources. Throws where they are not such. */
export async function productOf(
  tree: Tree,
  signal: AbortSignal,
): Promise<{ readonly input: BuildInput; readonly entries: BuildRequest['entries'] }> {
  const blame = (_: string, message: string) => ({ file: 'Dockerfile', line: 1, column: 1, at: '', message })
  const question = { spec: BuildSpec.parse({ paths }), context: '', entries: await tree.list(), blame }
  const answer = await readBuildInput(tree, question, signal)
  if (!answer.ok)
    throw new Error(`the gateway's own image cannot be built: ${answer.faults.map(describeFault).join('; ')}`)
  const { input } = answer
  return { input, entries: (reading) => readEntries(tree, input, reading) }
}
