import { GatewayFile } from '#manifests/gateway.ts'
import { notEnforced } from '#manifests/spec.ts'
import type { ManifestFault, NoticeAddress, Notifications, Settings } from '../desired.ts'
import { check } from './check.ts'
import { join } from './manifest.ts'
import { readYaml } from './yaml.ts'

export interface CompiledGateway {
  /** Absent if the file has any fault. */
  readonly settings?: Settings
  readonly faults: readonly ManifestFault[]
}

/** What a repository without the file asks for. */
export const usualSettings: Settings = settingsOf(GatewayFile.parse({}))

/** `manifests/gateway.yaml`. */
export function compileGateway(file: string, body: Buffer): CompiledGateway {
  const { manifest, faults } = readYaml(file, body, { verbatim: () => false, dollars: () => false })
  if (manifest === undefined) return { faults }
  const checked = check(manifest, GatewayFile)
  const idle = notEnforced.gateway.filter((key) => isSaid(manifest.value, key))
  const refused = idle.map((key) => manifest.fault([key], 'not enforced by this version', 'key'))
  const all = join(faults, [...checked.faults, ...refused])
  return checked.ok && all.length === 0 ? { settings: settingsOf(checked.value), faults: [] } : { faults: all }
}

function isSaid(value: unknown, key: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
}

function settingsOf({ bake, prune, governance, notifications }: GatewayFile): Settings {
  return {
    bake,
    prune,
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
