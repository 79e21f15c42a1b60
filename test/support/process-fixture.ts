import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Host } from '../../controller/host.ts'
import { openProcessHost } from '../../controller/process.ts'
import { freePort } from '../../controller/process-child.ts'
import type { Fixture } from '../controller/host-contract.ts'
import { stubProduct } from './stub-product.ts'

export interface ProcessFixture extends Fixture {
  readonly state: string
  /** Where it runs its proxies from. */
  readonly product: string
}

/** A process host in a folder of its own. Closing it fails if a process of it is left. */
export async function openProcessFixture(): Promise<ProcessFixture> {
  const root = await mkdtemp(join(tmpdir(), 'gateway-process-'))
  const state = join(root, 'state')
  const product = await writeProduct(join(root, 'one'), 'one')
  const listen = { host: '127.0.0.1', port: await freePort() }
  const opened: Host[] = []
  const reopen = async (which: 'same' | 'newer' = 'same') => {
    const from = which === 'same' ? product : await writeProduct(join(root, 'two'), 'two')
    const host = await openProcessHost({ instance: 'test', state, listen, product: from })
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
      await host.down({ volumes: true }, new AbortController().signal)
      for (const host of opened) await host[Symbol.asyncDispose]()
      await rm(root, { recursive: true })
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
