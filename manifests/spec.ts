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
