import { GatewayFile } from './gateway.ts'
import { LockFile } from './lock.ts'
import { PermissionsFile } from './permissions.ts'
import { ServerFile } from './server.ts'

/** The files that people commit, by the name of their schema. */
export const documents = {
  permissions: { file: 'manifests/permissions.yaml', schema: PermissionsFile },
  server: { file: 'manifests/servers/<name>.yaml', schema: ServerFile },
  gateway: { file: 'manifests/gateway.yaml', schema: GatewayFile },
  lock: { file: 'manifests/tools.lock.yaml', schema: LockFile },
} as const

/**
 * Keys that are known and have no effect yet, so they are refused where they say more than the default.
 * Whoever builds an effect deletes its name here.
 */
export const notEnforced = {
  server: ['auth'],
  permissions: [],
  gateway: [],
  lock: [],
} as const
