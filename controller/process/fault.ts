import { HostDown } from '../host.ts'
import { isCode } from './life.ts'

const need = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN']

/** Runs `act`; a machine that is out of room or of processes is `HostDown`, not the fault of a manifest. */
export async function blameMachine<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    const reason = needOf(cause)
    throw reason === undefined ? cause : new HostDown(`the machine cannot: ${reason}`, { cause })
  }
}

function needOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  return need.some((code) => isCode(error, code)) ? error.message : needOf(error.cause)
}
