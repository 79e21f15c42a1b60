import { z } from 'zod'
import { ArgumentName, Value } from './name.ts'
import { judged, quote, text } from './text.ts'

function wrongPath(value: string): string | undefined {
  if (/^[a-z][a-z0-9+.-]*:|^git@/i.test(value))
    return `expected a folder or file of this repository, found ${quote(value)}`
  if (value.startsWith('/') || value.startsWith('~'))
    return `expected a path inside the repository, found ${quote(value)}`
  if (value.split('/').includes('..')) return `${quote(value)} leads out of where it may look: no ".." in a path`
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
  if (value === '' || /[\\\u0000-\u001f\u007f]/.test(value))
    return `expected a path with / between its parts, found ${quote(value)}`
}

/** `./a//b/` → `a/b`, `.` → ``. */
function normal(value: string): string {
  return value
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')
}

export const RepositoryPath = judged(wrongPath).transform(normal)

/** How an image is built, with Compose's names. Paths are relative to the folder that holds `manifests/`, or to the context. */
export const BuildSpec = z.strictObject({
  context: RepositoryPath.optional().describe('Folder that is the build context. Default `servers/<name>`.'),
  paths: z
    .array(RepositoryPath)
    .prefault([])
    .describe(
      'Files and folders of the context that are sent and hashed, beside the Dockerfile; none named means all.',
    ),
  dockerfile: RepositoryPath.optional().describe('Path of the Dockerfile, from the context. Default `Dockerfile`.'),
  dockerfile_inline: z.string().min(1).optional().describe('Text of the Dockerfile, instead of a path.'),
  args: z.record(ArgumentName, Value).prefault({}).describe('Build arguments.'),
  target: text(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, 'the name of a stage')
    .optional()
    .describe('Stage of the Dockerfile to build. Default the last.'),
})
export type BuildSpec = Readonly<z.infer<typeof BuildSpec>>

/** A build, or just its context. */
export const Build = z.union([
  RepositoryPath.transform((context) => BuildSpec.parse({ context: context || '.' })),
  BuildSpec,
])
