import { z } from 'zod'
import type { GatewayFile } from '#manifests/gateway.ts'
import type { ImageSource, ManifestFault, Tree, TreeEntry } from '../desired.ts'
import { readBuildInput } from './build-input.ts'
import type { Manifest } from './manifest.ts'

export interface CompiledProduct {
  readonly product?: ImageSource
  readonly faults: readonly ManifestFault[]
}

/** A build that is only its context has no keys to point at. */
const Short = z.object({ proxy: z.object({ build: z.string() }) })

interface Place {
  readonly tree: Tree
  readonly entries: readonly TreeEntry[]
  readonly signal: AbortSignal | undefined
}

/** What `proxy` of `manifests/gateway.yaml` says that the gateway runs from. */
export async function compileProduct(
  manifest: Manifest,
  { proxy }: GatewayFile,
  { tree, entries, signal }: Place,
): Promise<CompiledProduct> {
  if (proxy === undefined) return { faults: [] }
  const { build, image } = proxy
  if (build !== undefined && image !== undefined)
    return refuse(manifest, ['proxy', 'image'], '"build" is there already: exactly one of build and image')
  if (image !== undefined) return { product: { kind: 'ref', ref: image }, faults: [] }
  if (build === undefined) return refuse(manifest, ['proxy'], 'says nothing: exactly one of build and image')
  if (build.dockerfile !== undefined && build.dockerfile_inline !== undefined)
    return refuse(manifest, ['proxy', 'build', 'dockerfile_inline'], '"dockerfile" is there already: one of the two')
  const isShort = Short.safeParse(manifest.value).success
  const blame = (key: string, message: string) => manifest.fault(['proxy', 'build', ...(isShort ? [] : [key])], message)
  const question = { spec: build, context: build.context ?? '', entries, blame }
  const answer = await readBuildInput(tree, question, signal)
  return answer.ok ? { product: { kind: 'built', input: answer.input }, faults: [] } : { faults: answer.faults }
}

function refuse(manifest: Manifest, path: readonly string[], message: string): CompiledProduct {
  return { faults: [manifest.fault(path, message, 'key')] }
}
