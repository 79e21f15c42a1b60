import { existsSync } from 'node:fs'
import { access, constants, statfs } from 'node:fs/promises'
import { readSecrets } from '../config/secrets.ts'
import { migration } from '../host.ts'
import { inWords } from '../size.ts'
import { type Check, fail, ok, warn, wordsOf } from './check.ts'

const gigabyte = 2 ** 30
const scarce = { warn: 5 * gigabyte, fail: gigabyte / 2 }

export async function checkState(state: string): Promise<Check> {
  if (!existsSync(state)) return warn('state', `${state} is not there yet: the first start of the controller makes it`)
  try {
    await access(state, constants.R_OK | constants.W_OK)
    return ok('state', `${state} can be written`)
  } catch {
    return fail('state', `${state} cannot be written: give it to the gateway's user, or ask as that user`)
  }
}

export async function checkDisk(folder: string): Promise<Check> {
  try {
    const { bavail, bsize } = await statfs(existsSync(folder) ? folder : '/')
    const free = bavail * bsize
    const words = `${inWords(free)} are free`
    if (free < scarce.fail) return fail('disk', `${words}: builds will fail; make room`)
    return free < scarce.warn ? warn('disk', `${words}: builds may fail; make room`) : ok('disk', words)
  } catch (error) {
    return warn('disk', `cannot be asked for its room: ${wordsOf(error)}`)
  }
}

export async function checkSecrets(file: string): Promise<Check> {
  if (!existsSync(file))
    return warn('secrets', `${file}: there is no secrets file, so there are no secrets; make it or set GATEWAY_SECRETS`)
  try {
    const secrets = await readSecrets(file)
    return ok('secrets', `${file} has ${secrets.size} name${secrets.size === 1 ? '' : 's'}`)
  } catch (error) {
    return fail('secrets', wordsOf(error))
  }
}

/** What lets a connection that just begins move from one proxy to the next; kernels have it since 5.14. */
export function checkKernel(): Check {
  if (existsSync(`/proc/sys/${migration.replaceAll('.', '/')}`))
    return ok('kernel', 'hands connections that just begin from one proxy to the next')
  return warn('kernel', `lacks ${migration} (Linux 5.14): replacing the proxy may reset a connection`)
}
