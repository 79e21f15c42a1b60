import { expect } from 'vitest'
import { until } from '../until.ts'
import { type CallOptions, type ClientKind, eraOf, type MatrixClient } from './clients.ts'
import { promptNames, question } from './script.ts'
import type { MatrixUpstream, UpstreamKind } from './upstreams.ts'

/** Where a client reaches a server, and how that shows. */
export interface Place {
  readonly path: string
  readonly tool: (name: string) => string
  readonly prompt: (name: string) => string
  readonly uri: (uri: string) => string
  /** What a question of the server says. */
  readonly asks: (message: string) => string
}

/** One client at one server. */
export interface Pair {
  readonly clientKind: ClientKind
  readonly upstreamKind: UpstreamKind
  readonly upstream: MatrixUpstream
  readonly place: Place
  readonly url: string
  /** What nobody else says to the server. */
  readonly key: string
  /** The one that this pair's features share. */
  readonly client: MatrixClient
  /** One more, of an agent of its own. */
  openOther(): Promise<{ readonly client: MatrixClient; readonly token: string; revoke(): void }>
}

export type Feature = (pair: Pair) => Promise<void>

const echo = ({ client, place }: Pair, key: string) => client.call(place.tool('echo'), { key })

/** Whether the server said a line. */
export const said = ({ upstream }: Pair, line: string) => upstream.backstage.said.has(line)

/** Begins a call that lasts until its key is released, and waits until the server says that it has it. */
export async function hold(pair: Pair, key: string, { client = pair.client, ...options }: Holding = {}) {
  let steps = 0
  const onprogress = () => void steps++
  const call = client.call(pair.place.tool('hold'), { key }, { onprogress, ...options })
  const outcome = call.then(
    (text) => text,
    (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
  )
  await until('the server holds the call', () => said(pair, `holding ${key}`))
  await until('its client knows', () => steps === 1)
  return { outcome }
}

/** Waits until the server knows that nobody waits for a held call: it was told, or its program, which had nobody else, was ended. */
export const knowsEnd = (pair: Pair, key: string) =>
  until('the server knows', () => ['cancelled', 'left'].some((how) => said(pair, `${how} ${key}`)))

interface Holding extends CallOptions {
  readonly client?: MatrixClient
}

async function asks(pair: Pair, tool: string, { asked, words }: { asked: readonly string[]; words: string }) {
  const { client, place } = pair
  const before = client.asked.length
  expect(await client.call(place.tool(tool))).toBe(words)
  expect(client.asked.slice(before)).toEqual(asked)
}

/** Those of which clients, servers and this gateway must make one whole, whatever their eras. */
export const features = {
  list: async ({ clientKind, client, place }) => {
    expect(client.era).toBe(eraOf(clientKind))
    const names = await client.tools()
    expect(names).toEqual(expect.arrayContaining(['echo', 'count', 'hold', 'form', 'sample'].map(place.tool)))
    expect(new Set(names).size).toBe(names.length)
  },

  call: async (pair) => {
    expect(await Promise.all(['one', 'two', 'three'].map((key) => echo(pair, key)))).toEqual(['one', 'two', 'three'])
    await expect(pair.client.call(pair.place.tool('nothing'))).rejects.toThrow(/nothing/)
  },

  progress: async ({ client, place }) => {
    const steps: number[] = []
    const onprogress = ({ progress }: { readonly progress: number }) => void steps.push(progress)
    expect(await client.call(place.tool('count'), {}, { onprogress })).toBe('counted')
    expect(steps).toEqual([1, 2, 3])
  },

  cancel: async (pair) => {
    const stop = new AbortController()
    const key = `${pair.key}-cancel`
    const { outcome } = await hold(pair, key, { signal: stop.signal })
    stop.abort()
    expect(await outcome).toBeInstanceOf(Error)
    await knowsEnd(pair, key)
    expect(await echo(pair, 'next')).toBe('next')
  },

  'elicitation form': (pair) => asks(pair, 'form', { asked: [pair.place.asks(question.form)], words: 'hello Ann' }),

  'elicitation url': (pair) =>
    asks(pair, 'visit', { asked: [pair.place.asks(question.visit), question.url], words: 'visit: accept' }),

  sampling: (pair) => asks(pair, 'sample', { asked: [], words: 'it wrote words like leaves' }),

  roots: (pair) => asks(pair, 'roots', { asked: [], words: 'file:///home/ann' }),

  subscribe: async ({ client, place, upstream, key }) => {
    const uri = `demo://${key}`
    await client.subscribe(place.uri(uri))
    await until('it is told', () => {
      upstream.backstage.cue(`update ${uri}`)
      return client.told.includes(place.uri(uri))
    })
  },

  list_changed: async ({ client, place, upstream, key }) => {
    await client.tools()
    await client.hearOfTools()
    const before = client.told.length
    upstream.backstage.cue(`grow ${key}`)
    await until('it is told', () => client.told.slice(before).includes('tools'))
    await until('it sees the new one', async () => (await client.tools()).includes(place.tool(key)))
  },

  pagination: async ({ client, place }) => {
    expect(await client.prompts()).toEqual(promptNames.map(place.prompt))
    await expect(client.prompts('nowhere')).rejects.toThrow(/cursor/)
  },

  resume: async (pair) => {
    const key = `${pair.key}-resume`
    const { outcome } = await hold(pair, key)
    pair.client.cut()
    pair.upstream.backstage.cue(`release ${key}`)
    expect(await outcome).toBe(`released ${key}`)
  },

  DELETE: async (pair) => {
    const { client, token } = await pair.openOther()
    const key = `${pair.key}-stay`
    await client.call(pair.place.tool('stay'), { key })
    const id = client.sessionId ?? expect.fail('no session')
    await client.endSession()
    if (said(pair, `stay ${key}`)) await until('the server knows that it is over', () => said(pair, `left ${key}`))
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', 'mcp-session-id': id }
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
    expect((await fetch(pair.url, { method: 'POST', headers, body })).status).toBe(404)
    await client[Symbol.asyncDispose]()
  },

  revocation: async (pair) => {
    const { client, revoke } = await pair.openOther()
    const key = `${pair.key}-revoked`
    const { outcome } = await hold(pair, key, { client })
    revoke()
    expect(await outcome).toMatchObject({ message: expect.stringContaining('taken away') })
    await knowsEnd(pair, key)
    await expect(client.call(pair.place.tool('echo'), { key })).rejects.toThrow(/unknown or revoked/)
    await client[Symbol.asyncDispose]()
  },

  restart: async (pair) => {
    expect(await echo(pair, 'still here')).toBe('still here')
    await asks(pair, 'visit', { asked: [pair.place.asks(question.visit), question.url], words: 'visit: accept' })
  },
} as const satisfies Record<string, Feature>

export type FeatureName = keyof typeof features
