import { join } from 'node:path'

/** Where the controller of a state folder takes changing verbs. */
export function adminSocket(state: string): string {
  return join(state, 'admin.sock')
}
