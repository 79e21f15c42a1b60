import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'

/** `docker-compose.yml`, strictly what `Stack` does of it: a key more is one that nobody has tried. */
const Composition = z.strictObject({
  name: z.string(),
  services: z.strictObject({
    controller: z.strictObject({
      build: z.literal('.'),
      image: z.string(),
      init: z.boolean(),
      restart: z.string(),
      env_file: z.string(),
      ports: z.array(z.string().regex(/^\d+:\d+$/)),
      volumes: z.array(z.string().regex(/^[^:]+:\/[^:]+(:ro)?$/)),
      healthcheck: z.strictObject({
        test: z.tuple([z.literal('CMD')], z.string()),
        interval: z.string(),
        timeout: z.string(),
        start_period: z.string(),
      }),
      logging: z.strictObject({ driver: z.string(), options: z.record(z.string(), z.string()) }),
    }),
  }),
  volumes: z.record(z.string(), z.strictObject({ name: z.string() })),
})
export type Composition = Readonly<z.infer<typeof Composition>>

export async function readComposition(folder: string): Promise<Composition> {
  return Composition.parse(parse(await readFile(join(folder, 'docker-compose.yml'), 'utf8')))
}

/** A line of `volumes`, taken apart: a name or a folder of the machine, a path in the container. */
export function mountOf(line: string): {
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
} {
  const [source = '', target = '', mode] = line.split(':')
  return { source, target, readOnly: mode === 'ro' }
}
