import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { vi } from 'vitest'
import type { Host } from '../../controller/host.ts'
import { freePort } from '../../controller/process/child.ts'
import { openProcessHost } from '../../controller/process/process.ts'
import { UnitTable } from '../../controller/process/table.ts'
import type { Fixture } from '../controller/host-contract/stand.ts'
import { stubProduct } from './stub-product.ts'

export interface ProcessFixture extends Fixture {
  readonly state: string
  /** Where it runs its proxies from. */
  readonly product: string
}

/** A process host in a folder of its own, whose controller has `more` in its environment. Closing it fails if a process of it is left. */
export async function openProcessFixture(more: Readonly<Record<string, string>> = {}): Promise<ProcessFixture> {
  const root = await mkdtemp(join(tmpdir(), 'gateway-process-'))
  const state = join(root, 'state')
  const product = await writeProduct(join(root, 'one'), 'one')
  const listen = { host: '127.0.0.1', port: await freePort() }
  const environment = { ...process.env, ...more }
  const opened: Host[] = []
  const reopen = async (which: 'same' | 'newer' = 'same') => {
    const from = which === 'same' ? product : await writeProduct(join(root, 'two'), 'two')
    const host = await openProcessHost({ instance: 'test', state, listen, product: from, environment })
    opened.push(host)
    return host
  }
  const host = await reopen()
  return {
    instance: 'test',
    state,
    product,
    host,
    reopen,
    fetchFromProxy,
    published: `http://127.0.0.1:${listen.port}`,
    mountsReadOnly: false,
    async close() {
      const groups = new UnitTable(join(state, 'units')).list().map(({ life }) => life.pid)
      await host.down({ volumes: true }, new AbortController().signal)
      for (const host of opened) await host[Symbol.asyncDispose]()
      await rm(root, { recursive: true })
      await vi.waitFor(() => demandNobody(groups), { timeout: 5_000 })
    },
  }
}

async function fetchFromProxy(url: string): Promise<string> {
  const answer = await fetch(url)
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
  return answer.text()
}

async function writeProduct(folder: string, version: string): Promise<string> {
  for (const [path, text] of Object.entries(stubProduct(version))) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  return folder
}

/** Fails while a process of one of these groups lives; one that ended and waits to be buried does not. */
async function demandNobody(groups: readonly number[]): Promise<void> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')))
  const left = stats.filter((text) => {
    const [state, , group] = text.slice(text.lastIndexOf(')') + 2).split(' ')
    return state !== 'Z' && groups.includes(Number(group))
  })
  if (left.length > 0) throw new Error(`left behind: ${left.map((text) => text.split(' ', 2).join(' ')).join(', ')}`)
}
