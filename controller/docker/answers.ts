import { z } from 'zod'
import { HostDown } from '../host.ts'

const Labels = z.record(z.string(), z.string())

/** What the engine says of things, as far as anything is concluded from it. */
const Container = z.object({
  Id: z.string().min(1),
  Name: z.string(),
  Image: z.string(),
  RestartCount: z.number(),
  State: z.object({ Status: z.string(), StartedAt: z.string(), FinishedAt: z.string(), ExitCode: z.number() }),
  Config: z.object({
    Labels: Labels.nullish().transform((labels) => labels ?? {}),
    Env: z.array(z.string()).nullable(),
  }),
  HostConfig: z.object({
    Memory: z.number().optional(),
    NanoCpus: z.number().optional(),
    PidsLimit: z.number().nullish(),
    RestartPolicy: z.object({ Name: z.string() }).optional(),
    Dns: z.array(z.string()).nullish(),
    NetworkMode: z.string().optional(),
    Sysctls: z.record(z.string(), z.string()).nullish(),
    PortBindings: z.record(z.string(), z.array(z.object({ HostIp: z.string(), HostPort: z.string() }))).nullish(),
  }),
  NetworkSettings: z.object({ Networks: z.record(z.string(), z.unknown()) }),
  Mounts: z.array(
    z.object({ Type: z.string(), Name: z.string().optional(), Source: z.string(), Destination: z.string() }),
  ),
})

const Listed = z.array(z.object({ Id: z.string().min(1) }))

const ListedImages = z.array(
  z.object({
    Id: z.string().min(1),
    RepoTags: z.array(z.string()).nullish(),
    Labels: Labels.nullable(),
    Size: z.number().optional(),
  }),
)

const Networks = z.array(
  z.object({
    Id: z.string().min(1),
    Name: z.string().min(1),
    Internal: z.boolean(),
    Labels: Labels.nullish(),
    IPAM: z.object({ Config: z.array(z.record(z.string(), z.unknown())).nullish() }).optional(),
  }),
)

const Info = z.object({ DockerRootDir: z.string() })

const Usage = z.object({
  Images: z.array(z.object({ Labels: Labels.nullable(), Size: z.number(), SharedSize: z.number() })).nullish(),
  BuildCache: z.array(z.object({ Size: z.number() })).nullish(),
})

/** Reads an answer. Throws `HostDown` for what no engine in its right mind says: a half, or nothing. */
function reader<T>(shape: z.ZodType<T>, what: string): (answer: unknown) => T {
  return (answer) => {
    const read = shape.safeParse(answer)
    if (read.success) return read.data
    const { path = [], message = '' } = read.error.issues[0] ?? {}
    throw new HostDown(`the Docker engine's answer about ${what} cannot be read: ${path.join('.')} ${message}`)
  }
}

export const readContainer = reader(Container, 'a container')
export const readListed = reader(Listed, 'its containers')
export const readImages = reader(ListedImages, 'its images')
export const readInfo = reader(Info, 'itself')
export const readUsage = reader(Usage, 'its disk')
export const readNetworks = reader(Networks, 'its networks')
