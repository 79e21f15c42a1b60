import { access, constants } from 'node:fs/promises'
import type { GitAccess } from './git-environment.ts'
import { SourceDown } from './git-fault.ts'

/** Looks that the files which the configuration names are there. Throws `SourceDown`. */
export async function mustRead({ sshKeyFile, sshKnownHosts, caFile }: GitAccess): Promise<void> {
  const files = { GATEWAY_SSH_KEY_FILE: sshKeyFile, GATEWAY_SSH_KNOWN_HOSTS: sshKnownHosts, GATEWAY_CA_FILE: caFile }
  for (const [variable, file] of Object.entries(files)) {
    if (file === undefined) continue
    await access(file, constants.R_OK).catch((cause: unknown) => {
      throw new SourceDown(`${variable}: ${file} cannot be read; check the path and who may read it`, { cause })
    })
  }
}
