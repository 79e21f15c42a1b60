import type { BuildInput } from '../desired.ts'
import { BuildFailed, type BuildRequest, type Generation, generationKey } from '../host.ts'
import { basesOf, registryOf } from './credentials.ts'
import { type EngineImage, EngineRefusal, type ListedImage } from './engine.ts'
import { carries, imageTag, labelsOf, type Marks, mark } from './labels.ts'
import type { Estate } from './network.ts'
import { packTar } from './tar.ts'

/** Builds of this name are the product's own; no server has it. */
export const productName = 'gateway'

const inlineName = '.commons-gateway.Dockerfile'
const tailLines = 30

/** Success is that the image is there and says what it was built from, not that the engine's answer ended. */
export async function buildImage(estate: Estate, request: BuildRequest, signal: AbortSignal): Promise<void> {
  if (await builtImage(estate, request.server, request.input, signal)) return
  const tail: string[] = []
  const log = (line: string) => {
    tail.splice(0, tail.length + 1 - tailLines)
    tail.push(line)
    request.log(line)
  }
  await pullBases(estate, request, signal)
  const failure = await sendBuild(estate, { ...request, log }, signal)
  if (await builtImage(estate, request.server, request.input, signal)) return
  if (failure !== '') tail.push(failure)
  throw new BuildFailed(`build of ${request.server} failed: ${failure || 'the engine made no image'}`, tail.join('\n'))
}

/** The image of a build input, if it is there. */
async function builtImage(
  { engine, instance }: Estate,
  server: string,
  input: BuildInput,
  signal: AbortSignal,
): Promise<EngineImage | undefined> {
  const image = await engine.image(imageTag(instance, server, input.hash), signal)
  return carries(image?.Config.Labels, marksOf(instance, server, input)) ? image : undefined
}

/** The image that a generation runs from; one from a registry is pulled if it is absent. */
export async function imageOf(
  estate: Estate,
  { server, image }: Generation,
  signal: AbortSignal,
): Promise<EngineImage> {
  if (image.kind === 'ref') return ensurePulled(estate, image.ref, signal)
  const built = await builtImage(estate, server, image.input, signal)
  if (built === undefined) throw new Error(`server ${server} is not built: no image ${image.input.hash.slice(0, 12)}`)
  return built
}

/** Images that no container uses; the rest stay, and so do those that somebody made from ours and named. */
export async function removeImages(
  { engine, instance }: Estate,
  marks: Partial<Marks>,
  signal: AbortSignal,
): Promise<void> {
  const images = await engine.images(labelsOf({ instance, ...marks }), signal)
  for (const tag of ownTags(instance, images)) await engine.removeImage(tag, signal)
}

/** Names that we gave to images; others of theirs are somebody's own. */
export function ownTags(instance: string, images: readonly ListedImage[]): readonly string[] {
  return images.flatMap(({ RepoTags }) => RepoTags ?? []).filter((tag) => tag.startsWith(`${instance}/`))
}

/** `<server>@<context>` of an image that carries its tag. */
export function builtKey(labels: Parameters<typeof mark>[0]): string | undefined {
  const [server, context] = [mark(labels, 'server'), mark(labels, 'context')]
  return server === undefined || context === undefined ? undefined : generationKey(server, context)
}

/** The image of that reference, pulled if it is absent, with the operator's credential for its registry. */
export async function ensurePulled(
  { engine, credentials }: Estate,
  ref: string,
  signal: AbortSignal,
): Promise<EngineImage> {
  const there = await engine.image(ref, signal)
  if (there) return there
  const credential = (await credentials()).get(registryOf(ref))
  const failure = await engine.pull(ref, credential, signal).catch(refusalText)
  const pulled = await engine.image(ref, signal)
  if (pulled === undefined)
    throw new Error(`cannot pull image ${ref}: ${failure || 'the engine does not have it afterwards'}`)
  return pulled
}

/**
 * Pulls what a build begins from, where its registry wants a credential: a build that asks by itself is given one for every
 * registry alike, and prefers what is there.
 */
async function pullBases(estate: Estate, { input, entries }: BuildRequest, signal: AbortSignal): Promise<void> {
  const known = await estate.credentials()
  if (known.size === 0) return
  const text =
    'inline' in input.dockerfile ? input.dockerfile.inline : await fileText(entries(signal), input.dockerfile.path)
  for (const ref of basesOf(text)) if (known.has(registryOf(ref))) await ensurePulled(estate, ref, signal)
}

async function fileText(entries: ReturnType<BuildRequest['entries']>, path: string): Promise<string> {
  for await (const entry of entries) if (entry.path === path) return entry.body.toString()
  return ''
}

async function sendBuild({ engine, instance }: Estate, request: BuildRequest, signal: AbortSignal): Promise<string> {
  const { server, input, entries, log } = request
  const inline = 'inline' in input.dockerfile ? [fileOf(inlineName, input.dockerfile.inline)] : []
  const ending = new AbortController()
  const tar = packTar(entries(AbortSignal.any([signal, ending.signal])), inline)
  const options = {
    t: imageTag(instance, server, input.hash),
    dockerfile: 'path' in input.dockerfile ? input.dockerfile.path : inlineName,
    labels: labelsOf(marksOf(instance, server, input)),
    buildargs: { ...input.args },
    ...(input.target === undefined ? {} : { target: input.target }),
  }
  try {
    return await engine.build(tar, options, log, signal).catch(refusalText)
  } catch (error) {
    throw tar.errored ?? error
  } finally {
    ending.abort()
    tar.destroy()
  }
}

/** No role: whatever anybody runs from the image inherits its labels, and must not pass for one of our units. The product is no server. */
function marksOf(instance: string, server: string, input: BuildInput): Marks {
  return { instance, context: input.hash, ...(server === productName ? {} : { server }) }
}

function fileOf(path: string, body: string) {
  return { path, mode: '100644', body: Buffer.from(body) }
}

function refusalText(error: unknown): string {
  if (error instanceof EngineRefusal) return error.message
  throw error
}
