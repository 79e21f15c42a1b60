import { GatewayFile } from '#manifests/gateway.ts'
import type { ImageSource, ManifestFault, NoticeAddress, Notifications, Settings, Tree, TreeEntry } from '../desired.ts'
import { readingBuild } from './build-input.ts'
import { check } from './check.ts'
import { join } from './manifest.ts'
import { compileProduct } from './product.ts'
import { readYaml } from './yaml.ts'

export interface CompiledGateway {
  /** Absent if the file has any fault. */
  readonly settings?: Settings
  readonly faults: readonly ManifestFault[]
}

/** What a repository without the file asks for. */
export const usualSettings: Settings = settingsOf(GatewayFile.parse({}), undefined)

export interface GatewaySource {
  readonly tree: Tree
  readonly entries: readonly TreeEntry[]
  readonly file: string
  readonly body: Buffer
}

/** `manifests/gateway.yaml`, with what the gateway is built from read from the tree. */
export async function compileGateway(source: GatewaySource, signal?: AbortSignal): Promise<CompiledGateway> {
  const { manifest, faults } = readYaml(source.file, source.body, readingBuild)
  if (manifest === undefined) return { faults }
  const checked = check(manifest, GatewayFile)
  const { product, faults: unbuildable } = checked.ok
    ? await compileProduct(manifest, checked.value, { ...source, signal })
    : { faults: [] }
  const all = join(faults, [...checked.faults, ...unbuildable])
  return checked.ok && all.length === 0 ? { settings: settingsOf(checked.value, product), faults: [] } : { faults: all }
}

function settingsOf(
  { bake, prune, governance, notifications }: GatewayFile,
  product: ImageSource | undefined,
): Settings {
  return {
    bake,
    prune,
    ...(product && { product }),
    ...(governance && { governance }),
    ...(notifications && { notifications: said(notifications) }),
  }
}

function said({ webhook, ntfy, about, most }: NonNullable<GatewayFile['notifications']>): Notifications {
  const token = ntfy?.token === undefined ? {} : { token: ntfy.token }
  return {
    about,
    most,
    ...(webhook && { webhook: addressOf(webhook) }),
    ...(ntfy && { ntfy: { ...addressOf(ntfy), ...token } }),
  }
}

function addressOf({ url, secret }: { url?: string | undefined; secret?: string | undefined }): NoticeAddress {
  return { ...(url === undefined ? {} : { url }), ...(secret === undefined ? {} : { secret }) }
}
