import { z } from 'zod'

const Words = z.union([z.string(), z.array(z.coerce.string())])
const Scalar = z.union([z.string(), z.number(), z.boolean(), z.null()])
const Variables = z.union([z.array(z.string()), z.record(z.string(), Scalar)])
const Port = z.union([z.string(), z.number(), z.looseObject({ target: z.coerce.number() })])
const Volume = z.union([
  z.string(),
  z.looseObject({
    type: z.string().optional(),
    source: z.string().optional(),
    target: z.string(),
    read_only: z.boolean().optional(),
  }),
])
const Limit = z.union([z.string(), z.number()])
const EnvFile = z.union([z.string(), z.looseObject({ path: z.string() })])

/** A service of a compose file, as far as a manifest can say the same; other keys are kept to be named. */
export const Service = z.looseObject({
  image: z.string().optional(),
  build: z
    .union([
      z.string(),
      z.looseObject({
        context: z.string().optional(),
        dockerfile: z.string().optional(),
        dockerfile_inline: z.string().optional(),
        args: Variables.optional(),
        target: z.string().optional(),
      }),
    ])
    .optional(),
  entrypoint: Words.nullish(),
  command: Words.nullish(),
  environment: Variables.nullish(),
  env_file: z.union([EnvFile, z.array(EnvFile)]).nullish(),
  ports: z.array(Port).nullish(),
  expose: z.array(z.coerce.string()).nullish(),
  volumes: z.array(Volume).nullish(),
  tmpfs: z.union([z.string(), z.array(z.string())]).nullish(),
  user: z.coerce.string().optional(),
  mem_limit: Limit.optional(),
  cpus: z.coerce.number().optional(),
  pids_limit: z.coerce.number().optional(),
  deploy: z
    .looseObject({
      resources: z
        .looseObject({
          limits: z
            .looseObject({
              memory: Limit.optional(),
              cpus: z.coerce.number().optional(),
              pids: z.coerce.number().optional(),
            })
            .optional(),
        })
        .optional(),
    })
    .optional(),
  healthcheck: z.looseObject({ test: Words.optional() }).optional(),
})
export type Service = z.infer<typeof Service>

export const ComposeFile = z.looseObject({ services: z.record(z.string(), Service) })
