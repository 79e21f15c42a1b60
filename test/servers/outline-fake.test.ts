import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { suite } from '../support/machine.ts'
import { connectCurl, type McpClient } from '../support/mcp-clients.ts'
import { type FakeOutline, startOutline } from '../support/outline.ts'
import { openPrism, type Prism } from '../support/prism.ts'
import { launchProgram, type Program } from '../support/program.ts'

const main = fileURLToPath(new URL('../../servers/outline/main.ts', import.meta.url))
const data = fileURLToPath(new URL('../../../shared/data/outline/', import.meta.url))

/** One real answer of Outline 1.9.1, and what it was asked. */
const Recorded = z.object({
  request: z.object({ method: z.string(), body: z.unknown() }).optional(),
  status: z.number(),
  headers: z.record(z.string(), z.string()).optional(),
  body: z.unknown(),
})

const One = z.looseObject({ data: z.looseObject({ id: z.string(), urlId: z.string() }) })

/** What kinds of values are where; of a list, the kinds of its items. Which abilities a user has is not told. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return [...new Set(value.map((item) => JSON.stringify(shapeOf(item))))].toSorted()
  if (!(value instanceof Object)) return value === null ? 'null' : typeof value
  const entries = Object.entries(value).map(([key, inner]) => [key, key === 'abilities' ? 'any' : shapeOf(inner)])
  return Object.fromEntries(entries.toSorted(([one], [other]) => (String(one) < String(other) ? -1 : 1)))
}

/**
 * The contract as Prism can read it. `/api` belongs to the host there, of which Prism knows nothing; and an answer that
 * has a `nullable` without a type somewhere, as the one who invited a user, is not checked at all, without a word.
 * What is null in the recorded answers, against the contract, may be null.
 */
function legible(contract: string): string {
  const typed =
    /( +)(avatarUrl|defaultCollectionId|templateId):\n( +)type: string\n(?!( +(format|description).*\n)* +nullable)/g
  return contract
    .replaceAll(/^ {2}"\//gm, '  "/api/')
    .replaceAll(/allOf:\n +- "\$ref": .*(\n +nullable: true)/g, 'type: object$1')
    .replaceAll(typed, '$1$2:\n$3type: string\n$3nullable: true\n')
}

async function ask(outline: FakeOutline, method: string, body: unknown, key = outline.keys.whole) {
  const response = await fetch(`${outline.url}/api/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key === '' ? {} : { authorization: `Bearer ${key}` }) },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: response.status, headers: response.headers, body: z.unknown().parse(await response.json()) }
}

async function made(outline: FakeOutline, method: string, body: unknown) {
  return One.parse((await ask(outline, method, body)).body).data.id
}

suite('the fake Outline, beside what the real one answered', ['shared-data'], () => {
  const recorded = new Map(
    (existsSync(data) ? readdirSync(join(data, 'recorded')) : [])
      .filter((name) => !name.startsWith('official-mcp'))
      .map((name) => [name, Recorded.parse(JSON.parse(readFileSync(join(data, 'recorded', name), 'utf8')))]),
  )
  let outline: FakeOutline
  /** Ids of what is the same there and here. */
  const twins = new Map<string, string>()
  beforeAll(async () => {
    outline = await startOutline()
    const of = (name: string) => recorded.get(name)?.request?.body
    const idIn = (name: string) => One.parse(recorded.get(name)?.body).data.id
    twins.set(idIn('collections.create.json'), await made(outline, 'collections.create', of('collections.create.json')))
    twins.set(idIn('documents.create.json'), await made(outline, 'documents.create', here(of('documents.create.json'))))
    const [collectionId, parentDocumentId] = [...twins.values()]
    const create = (body: object) => made(outline, 'documents.create', body)
    await create({ title: 'Child', text: 'nested', parentDocumentId, publish: true })
    await create({ title: 'Draft only', text: 'unpublished', collectionId })
    await create({ title: 'No collection draft', text: 'x' })
    await create({ text: 'no title', collectionId, publish: true })
  })
  afterAll(() => outline?.[Symbol.asyncDispose]())

  const here = (body: unknown): unknown =>
    JSON.parse([...twins].reduce((text, [there, own]) => text.replaceAll(there, own), JSON.stringify(body)))

  /** What is asked where the recording does not tell it, or where more than the body matters. */
  const special: Readonly<Record<string, () => ReturnType<typeof ask>>> = {
    'err-401-bad-token.json': () => ask(outline, 'documents.search', { query: 'x' }, 'wrong'),
    'err-401-no-token.json': () => ask(outline, 'documents.search', { query: 'x' }, ''),
    'err-403-scope.json': () => ask(outline, 'documents.info', {}, outline.keys.narrow),
    'err-429.json': () => {
      outline.exhaust('documents.search', 27)
      return ask(outline, 'documents.search', { query: 'x' })
    },
    'err-bad-json.json': () => ask(outline, 'documents.search', '{bad'),
  }
  // The last leaves the fake without patience for more.
  const names = [...recorded.keys()].toSorted(
    (one, other) => Number(one === 'err-429.json') - Number(other === 'err-429.json'),
  )

  test('has all that was recorded', () => {
    expect(names).toHaveLength(26)
  })

  test.each(names)('gives the same shape and status: %s', async (name) => {
    const there = Recorded.parse(recorded.get(name))
    const own = await (special[name]?.() ?? ask(outline, there.request?.method ?? '', here(there.request?.body)))
    expect(own.status).toBe(there.status)
    if (there.status === 200) expect(shapeOf(own.body)).toEqual(shapeOf(there.body))
    else expect(own.body).toEqual(there.body)
    for (const header of Object.keys(there.headers ?? {}))
      expect([header, own.headers.get(header)]).toEqual([header, there.headers?.[header]])
  })
})

suite('the Outline server and its fake, held to the contract by Prism', ['shared-data'], () => {
  let outline: FakeOutline
  let prism: Prism
  let folder: string
  let program: Program
  let client: McpClient
  beforeAll(async () => {
    outline = await startOutline()
    folder = await mkdtemp(join(tmpdir(), 'outline-'))
    const contract = join(folder, 'openapi.yml')
    await writeFile(contract, legible(readFileSync(join(data, 'openapi.yml'), 'utf8')))
    prism = await openPrism(contract, outline.url)
    const env = { OUTLINE_API_URL: prism.url, OUTLINE_API_KEY: outline.keys.whole, OUTLINE_ALLOW_UPDATE: 'true' }
    program = await launchProgram(main, env)
    client = await connectCurl(`${program.url}/mcp`)
  })
  afterAll(async () => {
    program?.kill('SIGTERM')
    await program?.ended
    await prism?.[Symbol.asyncDispose]()
    await outline?.[Symbol.asyncDispose]()
    if (folder !== undefined) await rm(folder, { recursive: true })
  })

  const text = async (name: string, args: Readonly<Record<string, unknown>>) => {
    const answer = await client.callTool(name, args)
    expect(answer).toMatchObject({ isError: false })
    return answer.text
  }

  const post = async (method: string, body: object | undefined) => {
    const type = { 'content-type': 'application/json' }
    const headers = { authorization: `Bearer ${outline.keys.whole}`, ...(body === undefined ? {} : type) }
    const sent = body === undefined ? {} : { body: JSON.stringify(body) }
    return await (await fetch(`${prism.url}/api/${method}`, { method: 'POST', headers, ...sent })).text()
  }

  test('Prism tells what is against it, be it asked or answered', async () => {
    const collection = await made(outline, 'collections.create', { name: 'To be spoilt' })
    const id = await made(outline, 'documents.create', { title: 'To be spoilt' })
    const cases: readonly [string, object | undefined, object | undefined][] = [
      ['auth.info', undefined, undefined],
      ['collections.list', {}, { limit: 'many' }],
      ['collections.documents', { id: collection }, { id: 'not-a-uuid' }],
      ['documents.search', { query: 'x' }, { query: 5 }],
      ['documents.info', { id }, { id: 5 }],
      ['documents.create', { title: 'x' }, { title: 5 }],
      ['documents.update', { id }, { editMode: 'append' }],
    ]
    for (const [method, good, bad] of cases) {
      outline.spoilt.clear()
      expect([method, await post(method, good)]).toEqual([method, expect.not.stringContaining('prism/errors')])
      if (bad !== undefined)
        expect([method, await post(method, bad)]).toEqual([method, expect.stringContaining('UNPROCESSABLE_ENTITY')])
      outline.spoilt.add(method)
      expect([method, await post(method, good)]).toEqual([method, expect.stringContaining('#VIOLATIONS')])
    }
    outline.spoilt.clear()
  })

  test('neither departs from it, whatever tool is called', async () => {
    const collectionId = await made(outline, 'collections.create', { name: 'Guides', permission: 'read_write' })
    expect((await fetch(`${program.url}/readyz`)).status).toBe(200)
    expect(await text('list_collections', { query: 'guide', limit: 5, offset: 0 })).toContain(collectionId)
    const created = await text('create_document', { title: 'One', text: 'first words', collection_id: collectionId })
    const [, id = ''] = /id (\S+),/.exec(created) ?? []
    await text('create_document', { title: 'Two', text: 'below', parent_document_id: id })
    await text('create_document', { title: 'Three', text: 'later', publish: false })
    expect(await text('list_collection_documents', { collection_id: collectionId })).toContain('  - Two')
    expect(await text('read_document', { id })).toContain('first words')
    const all = { query: 'words', collection_id: collectionId, limit: 3, offset: 0, status: ['published', 'draft'] }
    expect(await text('search_documents', all)).toContain('1–1 of 1')
    for (const mode of ['append', 'prepend', 'replace', 'patch'])
      await text('update_document', { id, mode, text: 'words', ...(mode === 'patch' ? { find_text: 'words' } : {}) })
    await text('update_document', { id, mode: 'append', text: 'x', last_revision: 6 })
    expect(
      (await client.callTool('update_document', { id, mode: 'append', text: 'x', last_revision: 1 })).text,
    ).toContain('read it again')
  })
})

describe('shapes', () => {
  test('differ where a value has another kind', () => {
    expect(shapeOf({ a: [{ b: 1 }, { b: 2 }] })).toEqual(shapeOf({ a: [{ b: 3 }] }))
    expect(shapeOf({ a: [{ b: 1 }] })).not.toEqual(shapeOf({ a: [{ b: null }] }))
  })
})
