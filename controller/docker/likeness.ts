import { z } from 'zod'
import type { Likeness } from './engine.ts'
import { labelsOf, prefix } from './labels.ts'

/** What a container or an image was told when it was made; the rest of it goes where it came from. */
const Config = z.looseObject({
  Hostname: z.string().optional(),
  Env: z.array(z.string()).nullish(),
  Labels: z.record(z.string(), z.string()).nullish(),
  Image: z.string().optional(),
})
const Endpoint = z.looseObject({ Aliases: z.array(z.string()).nullish(), IPAMConfig: z.unknown().optional() })

/** The engine's description of a container, as far as another is made like it. */
export const Described = z.looseObject({
  Id: z.string(),
  /** Id of its image. */
  Image: z.string(),
  Config,
  HostConfig: z.looseObject({ NetworkMode: z.string().optional() }),
  NetworkSettings: z.looseObject({ Networks: z.record(z.string(), Endpoint).nullish() }),
})
export type Described = Readonly<z.infer<typeof Described>>

export const DescribedImage = z.looseObject({ Id: z.string(), Config: Config.nullish() })
export type DescribedImage = Readonly<z.infer<typeof DescribedImage>>

/** What another container is to run from. */
export interface NewImage {
  readonly ref: string
  readonly id: string
}

/**
 * A container like another, from another image: what that had of its own and all its labels, but nothing else that it only had
 * from its image. Where a label names the old image, as Compose's does, it names the new one.
 */
export function successorOf(old: Described, oldImage: DescribedImage, instance: string, image: NewImage): Likeness {
  const own = ownConfig(old, oldImage)
  const labels = Object.entries(own.Labels).map(([name, value]) => [name, value === old.Image ? image.id : value])
  const network = old.HostConfig.NetworkMode ?? ''
  const endpoint = old.NetworkSettings.Networks?.[network]
  return {
    ...own,
    Image: image.ref,
    Labels: { ...Object.fromEntries(labels), ...labelsOf({ instance, role: 'controller' }) },
    HostConfig: old.HostConfig,
    ...(endpoint === undefined
      ? {}
      : { NetworkingConfig: { EndpointsConfig: { [network]: endpointOf(old, endpoint) } } }),
  }
}

/** Networks that it stands on beside the one that it is made on. */
export function furtherNetworks({ HostConfig, NetworkSettings }: Described): readonly string[] {
  return Object.keys(NetworkSettings.Networks ?? {}).filter((name) => name !== HostConfig.NetworkMode)
}

/** A container with all that another may reach on this machine, but neither its ports nor its networks, for one program that ends. */
export function helperOf(
  old: Described,
  oldImage: DescribedImage,
  instance: string,
  { image, command }: { readonly image: string; readonly command: readonly string[] },
): Likeness {
  return {
    ...ownConfig(old, oldImage),
    Image: image,
    Entrypoint: undefined,
    Cmd: [...command],
    Healthcheck: { Test: ['NONE'] },
    ExposedPorts: {},
    Labels: labelsOf({ instance, role: 'updater' }),
    HostConfig: {
      ...old.HostConfig,
      NetworkMode: 'none',
      PortBindings: {},
      PublishAllPorts: false,
      Links: null,
      AutoRemove: false,
      // One that is killed goes on where it was: between the old controller and the new one there must be somebody.
      RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 5 },
    },
  }
}

function ownConfig({ Id, Config: config }: Described, { Config: usual }: DescribedImage) {
  const same = (key: string) => JSON.stringify(config[key]) === JSON.stringify(usual?.[key])
  const own = Object.entries(config).filter(([key, value]) => value !== null && !same(key))
  const { Hostname, Image: _, ...rest } = Object.fromEntries(own)
  return {
    ...rest,
    ...(Hostname === Id.slice(0, 12) ? {} : { Hostname }),
    Env: (config.Env ?? []).filter((pair) => !usual?.Env?.includes(pair)),
    // Compose labels images as well, so that what a container has from there may be what it is known by.
    Labels: Object.fromEntries(Object.entries(config.Labels ?? {}).filter(([name]) => !name.startsWith(prefix))),
  }
}

/** The engine names it by its own id by itself. */
function endpointOf({ Id }: Described, { Aliases, IPAMConfig }: z.infer<typeof Endpoint>) {
  return {
    Aliases: (Aliases ?? []).filter((alias) => alias !== Id.slice(0, 12)),
    ...(IPAMConfig ? { IPAMConfig } : {}),
  }
}
