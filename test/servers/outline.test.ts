import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { cutPage } from '../../servers/outline/page.ts'
import { connectCurl, everyClient, type McpClient } from '../support/mcp-clients.ts'
import { type FakeOutline, startOutline } from '../support/outline.ts'
import { failProgram, launchProgram, type Program, startProgram } from '../support/program.ts'

const main = fileURLToPath(new URL('../../servers/outline/main.ts', import.meta.url))
const reading = ['search_documents', 'read_document', 'list_collections', 'list_collection_documents']
const unknownId = '550e8400-e29b-41d4-a716-446655440000'

type Args = Readonly<Record<string, unknown>>

const Made = z.looseObject({ data: z.looseObject({ id: z.string(), urlId: z.string(), url: z.string().optional() }) })

/** Through the API, as people would: what the tools shall find. */
async function make(outline: FakeOutline, method: string, body: object) {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${outline.keys.whole}` }
  const response = await fetch(`${outline.url}/api/${method}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return Made.parse(await response.json()).data
}

async function startFake(): Promise<FakeOutline> {
  const outline = await startOutline()
  onTestFinished(() => outline[Symbol.asyncDispose]())
  return outline
}

async function connectTo(env: Readonly<Record<string, string>>): Promise<{ client: McpClient; program: Program }> {
  const program = await startProgram(main, env)
  return { client: await connectCurl(`${program.url}/mcp`), program }
}

describe('outline', () => {
  let outline: FakeOutline
  let program: Program
  let client: McpClient
  let collection: string
  let runbook: z.infer<typeof Made>['data']
  let child: z.infer<typeof Made>['data']
  beforeAll(async () => {
    outline = await startOutline()
    const env = { OUTLINE_API_URL: outline.url, OUTLINE_API_KEY: outline.keys.whole, OUTLINE_ALLOW_UPDATE: 'true' }
    program = await launchProgram(main, env)
    client = await connectCurl(`${program.url}/mcp`)
    collection = (await make(outline, 'collections.create', { name: 'Engineering', description: 'How\nwe work' })).id
    const text = 'Stop the bot.\n\nIt uses systemd.'
    const about = { title: 'Runbook: bot restart', text, collectionId: collection, publish: true }
    runbook = await make(outline, 'documents.create', about)
    const below = { title: '日本語 📄', text: 'nested', parentDocumentId: runbook.id, publish: true }
    child = await make(outline, 'documents.create', below)
  })
  afterAll(async () => {
    program?.kill('SIGTERM')
    await program?.ended
    await outline?.[Symbol.asyncDispose]()
  })

  const text = async (name: string, args: Args = {}) => {
    const answer = await client.callTool(name, args)
    expect(answer).toMatchObject({ isError: false })
    return answer.text
  }
  const fault = async (name: string, args: Args = {}) => {
    const answer = await client.callTool(name, args)
    expect(answer).toMatchObject({ isError: true })
    return answer.text
  }
  const documentOf = (id: string) => {
    const document = outline.documents.get(id)
    if (document === undefined) throw new Error(`no document ${id}`)
    return document
  }

  test.each(Object.entries(everyClient))('serves %s', async (_, connect) => {
    const agent = await connect(`${program.url}/mcp`)
    const tools = [...reading, 'create_document', 'update_document']
    expect((await agent.listTools()).toSorted()).toEqual(tools.toSorted())
    const { text: found } = await agent.callTool('search_documents', { query: 'systemd', limit: '5' })
    const [, id] = /id (\S+),/.exec(found) ?? []
    expect((await agent.callTool('read_document', { id })).text).toContain('It uses systemd.')
    await agent.close()
  })

  test('finds documents with address, ids and the words around', async () => {
    const found = await text('search_documents', { query: 'systemd' })
    expect(found).toContain('1–1 of 1')
    expect(found).toContain(`${outline.url}/doc/runbook-bot-restart-${runbook.urlId}`)
    expect(found).toContain(`id ${runbook.id}, urlId ${runbook.urlId}, updated 20`)
    expect(found).toContain('It uses systemd.')
    expect(found).not.toContain('<b>')
    expect(await text('search_documents', { query: 'no such words' })).toBe('Nothing found for "no such words".')
  })

  test('finds in one collection, and in some states only', async () => {
    const draft = await make(outline, 'documents.create', { title: 'Drafted idea', collectionId: collection })
    const other = (await make(outline, 'collections.create', { name: 'Other' })).id
    const ask = (more: Args) => text('search_documents', { query: 'drafted', ...more })
    expect(await ask({ collection_id: collection })).toContain('a draft, not published')
    expect(await ask({ collection_id: other })).toContain('Nothing found')
    expect(await ask({ status: 'published' })).toContain('Nothing found')
    expect(await ask({ status: ['draft', 'archived'] })).toContain(draft.id)
    expect(await fault('search_documents', { query: 'x', collection_id: unknownId })).toContain('list_collections')
  })

  test('says how to go on with what it found', async () => {
    const about = { text: 'pebble', collectionId: collection, publish: true }
    for (const title of ['One', 'Two', 'Three']) await make(outline, 'documents.create', { ...about, title })
    expect(await text('search_documents', { query: 'pebble', limit: 2 })).toMatch(/^1–2 of 3; for more: offset=2\n/)
    const rest = await text('search_documents', { query: 'pebble', limit: 2, offset: '2' })
    expect(rest).toMatch(/^3–3 of 3\n/)
    expect(rest).toContain('3. One')
    expect(await text('search_documents', { query: 'pebble', offset: 9 })).toContain('Nothing more found')
  })

  test('reads a document by all that people have of it', async () => {
    const { host } = new URL(outline.url)
    const slug = `runbook-bot-restart-${runbook.urlId}`
    for (const id of [
      runbook.id,
      runbook.urlId,
      slug,
      ` ${slug} `,
      `/doc/${slug}`,
      `${host}/doc/${slug}`,
      `${outline.url}/doc/${slug}`,
      `${outline.url}/doc/${slug}/edit?x=1#h-steps`,
      `${outline.url}/s/some-share/doc/${slug}`,
      `${outline.url}/doc/${runbook.id}`,
    ])
      expect(await text('read_document', { id })).toContain('# Runbook: bot restart')
  })

  test('tells address, revision and who wrote last', async () => {
    expect(await text('read_document', { id: runbook.id })).toBe(
      `# Runbook: bot restart\n${outline.url}/doc/runbook-bot-restart-${runbook.urlId}\n` +
        `id ${runbook.id}, revision 2, updated ${documentOf(runbook.id).updatedAt} by Test, 3 lines\n---\n\n` +
        'Stop the bot.\n\nIt uses systemd.',
    )
  })

  test.each([
    ['https://other.example/doc/runbook-jsckoBDRDh', 'leads to other.example, and this server reads'],
    ['other.example/doc/runbook-jsckoBDRDh', 'leads to other.example'],
    ['http://user@127.0.0.1:1/doc/runbook-jsckoBDRDh', 'leads to 127.0.0.1:1'],
    ['//other.example/doc/runbook-jsckoBDRDh', 'leads to other.example'],
    ['/collection/engineering-TYY0isRzBG', 'list_collection_documents'],
    ['/home', 'no document’s address'],
    ['/doc/has no id', 'names no document'],
    ['id with spaces', 'names no document'],
    ['nope', 'names no document'],
    ['http://', 'no address of a document'],
    ['../../etc/passwd', 'leads to'],
    ['x'.repeat(3_000), 'at most 2000 characters'],
    ['   ', 'give the document’s id or address'],
    [unknownId, 'no such document'],
    ['neverMade1234', 'no such document'],
    [['a', 'b'], 'give the document’s id or address'],
  ])('asks Outline for nothing by a wrong id (case %#)', async (id, says) => {
    const before = outline.asked.length
    expect(await fault('read_document', { id })).toContain(says)
    const asked = outline.asked.slice(before)
    expect(asked.filter(({ status }) => status !== 404)).toEqual([])
  })

  test('says that a document was deleted', async () => {
    const { id } = await make(outline, 'documents.create', { title: 'Old plan', text: 'gone', publish: false })
    documentOf(id).deletedAt = '2026-03-04T05:06:07.000Z'
    const says = '"Old plan" was deleted 2026-03-04T05:06:07.000Z'
    const answer = await fault('read_document', { id })
    expect(answer).toContain(says)
    expect(answer).not.toContain('gone')
    expect(await fault('update_document', { id, mode: 'append', text: 'more' })).toContain(says)
  })

  test('says that a document is archived', async () => {
    const { id } = await make(outline, 'documents.create', { title: 'Kept', text: 'x', publish: false })
    documentOf(id).archivedAt = '2026-03-04T05:06:07.000Z'
    expect(await text('read_document', { id })).toContain('archived 2026-03-04T05:06:07.000Z')
  })

  test('reads a long document in pages, which together are the whole', async () => {
    const lines = Array.from({ length: 300 }, (_, index) => `line ${index} ${'🦊'.repeat(index % 7)}`)
    const whole = [...lines.slice(0, 100), '𝔘'.repeat(2_000), '', ...lines.slice(100)].join('\n')
    const { id } = await make(outline, 'documents.create', { title: 'Long', text: whole })
    const pages: string[] = []
    let next: Args | undefined = {}
    while (next !== undefined) {
      const page = await text('read_document', { id, max_chars: 777, ...next })
      const [, shown = '', line, character] =
        /\n---\n\n([\s\S]*?)(?:\n\n---\nCut here. Read on with offset_line=(\d+)(?: and offset_char=(\d+))?\.)?$/.exec(
          page,
        ) ?? []
      expect(shown.length).toBeLessThanOrEqual(777)
      expect(shown.isWellFormed()).toBe(true)
      const isPart = next.offset_char !== undefined
      pages.push(pages.length === 0 || isPart ? shown : `\n${shown}`)
      next = line === undefined ? undefined : { offset_line: line, ...(character && { offset_char: character }) }
    }
    expect(pages.length).toBeGreaterThan(5)
    expect(pages.join('')).toBe(whole)
    expect(await fault('read_document', { id, offset_line: 999 })).toContain('has 302 lines')
    expect(await fault('read_document', { id, offset_char: 999 })).toContain('Line 1 has')
  })

  test('lists collections', async () => {
    expect(await text('list_collections', { query: 'engin' })).toBe(
      `1–1 of 1\n- Engineering (id ${collection}): How we work`,
    )
    expect(await text('list_collections', { limit: 1 })).toContain('; for more: offset=1')
    expect(await text('list_collections', { query: 'nope' })).toBe('No collections named "nope".')
  })

  test('lists the documents of a collection as a tree', async () => {
    const tree = await text('list_collection_documents', { collection_id: collection })
    expect(tree).toContain(
      `- Runbook: bot restart (id ${runbook.id}) ${outline.url}/doc/runbook-bot-restart-${runbook.urlId}\n  - 日本語 📄 (id ${child.id})`,
    )
    expect(await text('list_collection_documents', { collection_id: collection, limit: 1, offset: 1 })).toMatch(
      /^2–2 of 5; for more: offset=2\n {2}- 日本語/,
    )
    expect(await fault('list_collection_documents', { collection_id: unknownId })).toContain('no such collection')
    expect(await fault('list_collection_documents', { collection_id: 'engineering' })).toContain('a UUID')
  })

  test('creates a document in a collection, below another, or as a draft', async () => {
    const about = { title: 'Fresh 📄', text: '# Hello' }
    const created = await text('create_document', { ...about, collection_id: collection })
    const [, id = ''] = /id (\S+),/.exec(created) ?? []
    expect(created).toContain(`Created "Fresh 📄": ${outline.url}/doc/`)
    expect(documentOf(id)).toMatchObject({ ...about, collectionId: collection, publishedAt: expect.any(String) })
    expect(await text('create_document', { ...about, parent_document_id: id })).not.toContain('draft')
    expect(await text('create_document', { ...about, publish: 'false' })).toContain('a draft, not published')
    expect(await text('create_document', { ...about, title: '🦊'.repeat(100), publish: false })).toContain('🦊')
  })

  test.each([
    [{ collection_id: undefined }, 'give collection_id or parent_document_id'],
    [{ title: 'x'.repeat(101) }, 'at most 100 characters'],
    [{ title: ' ' }, 'give a title'],
    [{ title: null }, 'give a title'],
    [{ text: null }, 'give Markdown'],
    [{ text: '' }, 'give Markdown'],
    [{ text: 'x'.repeat(1_536_001) }, 'at most 1536000 characters'],
    [{ publish: 'maybe' }, 'give true or false'],
    [{ collection_id: 'engineering' }, 'a UUID'],
    [{ collection_id: unknownId }, 'no such collection'],
    [{ collection_id: undefined, parent_document_id: unknownId }, 'no such collection or parent'],
    [{ parent_document_id: 'runbook-jsckoBDRDh' }, 'a UUID, as read_document shows it'],
    [{ titel: 'x' }, 'titel'],
  ])('does not create what is wrong (case %#)', async (wrong, says) => {
    const count = outline.documents.size
    const right = { title: 'New', text: 'x', collection_id: collection }
    expect(await fault('create_document', { ...right, ...wrong })).toContain(says)
    expect(outline.documents.size).toBe(count)
  })

  test('takes a text as long as Outline does', async () => {
    const created = await text('create_document', { title: 'Huge', text: 'x'.repeat(1_536_000), publish: false })
    const [, id] = /id (\S+),/.exec(created) ?? []
    expect(await text('read_document', { id })).toContain('offset_line=1 and offset_char=20000')
  })

  test('changes a document in each mode', async () => {
    const { id } = await make(outline, 'documents.create', { title: 'Draft', text: 'one two one', publish: false })
    const change = async (args: Args) => {
      expect(await text('update_document', { id, ...args })).toMatch(/^Changed "Draft", now revision \d: http/)
      return documentOf(id).text
    }
    expect(await change({ mode: 'append', text: ' end' })).toBe('one two one end')
    expect(await change({ mode: 'prepend', text: 'start ', last_revision: '2' })).toBe('start one two one end')
    expect(await change({ mode: 'patch', find_text: 'one', text: '$&1' })).toBe('start $&1 two one end')
    expect(await change({ mode: 'replace', text: 'all new', last_revision: 4 })).toBe('all new')
  })

  test('does not change what was changed meanwhile', async () => {
    const { id } = await make(outline, 'documents.create', { title: 'Shared', text: 'theirs', publish: false })
    await text('update_document', { id, mode: 'replace', text: 'mine', last_revision: 1 })
    expect(await fault('update_document', { id, mode: 'replace', text: 'late', last_revision: 1 })).toBe(
      'The document was changed since revision 1: read it again, and make your change to what it says now.',
    )
    expect(documentOf(id).text).toBe('mine')
  })

  test.each([
    [{ mode: 'patch' }, 'needs find_text'],
    [{ mode: 'append', find_text: 'x' }, 'find_text is for mode patch'],
    [{ mode: 'patch', find_text: 'nowhere in it' }, 'was not found in the document'],
    [{ mode: 'scramble' }, 'mode'],
    [{ mode: undefined }, 'mode'],
    [{ text: null }, 'give Markdown'],
    [{ last_revision: -1 }, 'last_revision'],
    [{ last_revision: true }, 'last_revision'],
    [{ id: unknownId }, 'no such document'],
    [{ id: 'https://other.example/doc/a-jsckoBDRDh' }, 'leads to other.example'],
  ])('does not change by what is wrong (case %#)', async (wrong, says) => {
    const before = { ...documentOf(runbook.id) }
    expect(await fault('update_document', { id: runbook.id, mode: 'append', text: 'x', ...wrong })).toContain(says)
    expect(documentOf(runbook.id)).toEqual(before)
  })

  test.each([
    [{ query: '' }, 'give words to look for'],
    [{ query: ' \n ' }, 'give words to look for'],
    [{ query: undefined }, 'give words to look for'],
    [{ query: 'x'.repeat(10_240) }, 'at most 500 characters'],
    [{ query: { $ne: 1 } }, 'give words to look for'],
    ...[0, -1, 26, 101, 1.5, '1.5', 'ten', true, [5]].map((limit): [Args, string] => [{ limit }, 'limit']),
    [{ offset: -1 }, 'offset'],
    [{ collection_id: 'all' }, 'a UUID'],
    [{ status: 'deleted' }, 'status'],
  ])('does not search for what is wrong (case %#)', async (wrong, says) => {
    expect(await fault('search_documents', { query: 'x', ...wrong })).toContain(says)
  })

  test.each(['a & | ! ( :*', "'; DROP TABLE documents;--", '<b>bold</b>', '💥', '%00', 'y'.repeat(500)])(
    'takes odd words for words (case %#)',
    async (query) => {
      expect(await text('search_documents', { query })).toContain('Nothing found')
    },
  )

  test('lives on after all of that', async () => {
    expect(await text('search_documents', { query: 'systemd', limit: '10' })).toContain('1–1 of 1')
    expect((await fetch(`${program.url}/readyz`)).status).toBe(200)
    expect(program.lines.filter(({ msg }) => msg === 'tool failed')).toEqual([])
    expect(JSON.stringify(program.lines)).not.toContain(outline.keys.whole)
  })
})

describe('a page', () => {
  test('is whole lines, as many as fit', () => {
    expect(cutPage('ab\ncd\nef', { line: 1, character: 0 }, 5)).toMatchObject({ text: 'ab\ncd', last: 2, lines: 3 })
    expect(cutPage('ab\ncd\nef', { line: 2, character: 1 }, 9)).toMatchObject({ text: 'd\nef', next: undefined })
  })

  test('of an empty document is empty', () => {
    const whole = { text: '', last: 1, lines: 1, next: undefined }
    expect(cutPage('', { line: 1, character: 0 }, 500)).toEqual(whole)
  })
})

describe('outline’s switches', () => {
  test.each([
    [{}, [...reading, 'create_document']],
    [{ OUTLINE_ALLOW_UPDATE: 'true' }, [...reading, 'create_document', 'update_document']],
    [{ OUTLINE_READ_ONLY: '1', OUTLINE_ALLOW_UPDATE: '1' }, reading],
    [{ OUTLINE_READ_ONLY: 'false', OUTLINE_ALLOW_UPDATE: 'no' }, [...reading, 'create_document']],
  ])('%j decide which tools there are', async (env, tools) => {
    const { client } = await connectTo(env)
    expect(await client.listTools()).toEqual(tools)
  })

  test('are checked at the start, and told in one line', async () => {
    const wrong = { OUTLINE_API_URL: 'wiki', OUTLINE_READ_ONLY: 'perhaps', OUTLINE_TIMEOUT_MS: '50000' }
    const { code, lines } = await failProgram(main, wrong)
    expect(code).toBe(1)
    expect(lines.map(({ msg }) => msg)).toEqual([
      'OUTLINE_API_URL="wiki": give an address such as https://wiki.example.org, without a user; ' +
        'OUTLINE_READ_ONLY="perhaps": give true or false; ' +
        'OUTLINE_TIMEOUT_MS="50000": give milliseconds, 1000 to 40000',
    ])
  })

  test.each(['', '/', '/api', '/api/'])('take the address of the API with %j behind the host', async (path) => {
    const outline = await startFake()
    const { client } = await connectTo({ OUTLINE_API_URL: outline.url + path, OUTLINE_API_KEY: outline.keys.whole })
    expect(await client.callTool('list_collections')).toMatchObject({ text: 'No collections.', isError: false })
  })

  test('say where people open the wiki, if that is elsewhere', async () => {
    const outline = await startFake()
    const document = await make(outline, 'documents.create', { title: 'Here', text: 'x', publish: false })
    const env = { OUTLINE_WEB_URL: 'https://wiki.example/' }
    const { client } = await connectTo({ OUTLINE_API_URL: outline.url, OUTLINE_API_KEY: outline.keys.whole, ...env })
    const address = `https://wiki.example/doc/here-${document.urlId}`
    expect((await client.callTool('read_document', { id: address })).text).toContain(`# Here\n${address}\n`)
  })
})

describe('outline’s key', () => {
  test('may be missing: the server starts, and the tools say so', async () => {
    const { client, program } = await connectTo({})
    for (const [name, args] of [
      ['search_documents', { query: 'x' }],
      ['read_document', { id: unknownId }],
      ['list_collections', {}],
      ['create_document', { title: 'x', text: 'x', publish: false }],
    ] as const) {
      const { text, isError } = await client.callTool(name, args)
      expect([isError, text]).toEqual([true, expect.stringContaining('OUTLINE_API_KEY is not set')])
    }
    const ready = await fetch(`${program.url}/readyz`)
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('OUTLINE_API_KEY is not set')])
    expect((await fetch(`${program.url}/healthz`)).status).toBe(200)
  })

  test('may come from a file, and while the server runs', async () => {
    const outline = await startFake()
    const folder = mkdtempSync(join(tmpdir(), 'key-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const OUTLINE_API_KEY_FILE = join(folder, 'key')
    const { client } = await connectTo({ OUTLINE_API_URL: outline.url, OUTLINE_API_KEY_FILE })
    expect((await client.callTool('list_collections')).text).toContain('ENOENT')
    writeFileSync(OUTLINE_API_KEY_FILE, `${outline.keys.whole}\n`)
    expect(await client.callTool('list_collections')).toMatchObject({ text: 'No collections.', isError: false })
  })

  test('may be refused, and whoever must act is told', async () => {
    const outline = await startFake()
    const { client, program } = await connectTo({ OUTLINE_API_URL: outline.url, OUTLINE_API_KEY: 'a-wrong-one' })
    const { text, isError } = await client.callTool('list_collections')
    expect([isError, text]).toEqual([true, expect.stringMatching(/refuses this server’s key.*OUTLINE_API_KEY/)])
    const ready = await fetch(`${program.url}/readyz`)
    expect([ready.status, await ready.text()]).toEqual([503, expect.stringContaining('refuses this server’s key')])
    expect(JSON.stringify(program.lines)).not.toContain('a-wrong-one')
  })

  test('that is one of two lines is not sent, and not shown', async () => {
    const { client } = await connectTo({ OUTLINE_API_KEY: 'one\ntwo' })
    const { text } = await client.callTool('list_collections')
    expect(text).toContain('OUTLINE_API_KEY cannot be sent')
    expect(text).not.toContain('two')
  })

  test('for few methods makes the others say so, and the server is ready', async () => {
    const outline = await startFake()
    const { client, program } = await connectTo({
      OUTLINE_API_URL: outline.url,
      OUTLINE_API_KEY: outline.keys.narrow,
    })
    expect(await client.callTool('search_documents', { query: 'x' })).toMatchObject({ isError: false })
    expect((await client.callTool('list_collections')).text).toContain(
      'scopes of this server’s key do not allow collections.list',
    )
    expect((await fetch(`${program.url}/readyz`)).status).toBe(200)
  })
})

describe('outline’s rate limit', () => {
  test.each([[undefined], ['silent']] as const)('is waited for when it is short (%s)', async (silent) => {
    const outline = await startFake()
    const { client } = await connectTo({ OUTLINE_API_URL: outline.url, OUTLINE_API_KEY: outline.keys.whole })
    outline.exhaust('documents.search', 1, silent)
    const calls = [1, 2, 3].map(() => client.callTool('search_documents', { query: 'x' }))
    for (const answer of await Promise.all(calls)) expect(answer).toMatchObject({ isError: false })
    const statuses = outline.asked.map(({ status }) => status)
    expect(statuses.filter((status) => status === 200)).toHaveLength(3)
    expect(statuses).toContain(429)
  })

  test('is told when it is long, and nobody is asked until it has passed', async () => {
    const outline = await startFake()
    const { client } = await connectTo({ OUTLINE_API_URL: outline.url, OUTLINE_API_KEY: outline.keys.whole })
    outline.exhaust('documents.search', 60)
    for (const attempt of [1, 2, 3]) {
      const { text, isError } = await client.callTool('search_documents', { query: `x${attempt}` })
      expect([isError, text]).toEqual([true, expect.stringMatching(/rate limit is reached: try again in (60|59|58) s/)])
    }
    expect(outline.asked.map(({ status }) => status)).toEqual([429])
    expect(await client.callTool('list_collections')).toMatchObject({ isError: false })
  })
})
