import { randomBytes, randomUUID } from 'node:crypto'
import { z } from 'zod'
import {
  type FakeCollection,
  type FakeDocument,
  policyOf,
  present,
  presentAuth,
  presentCollection,
  slugOf,
} from './outline-shapes.ts'

/** What the fake knows. */
export interface Wiki {
  readonly documents: Map<string, FakeDocument>
  readonly collections: Map<string, FakeCollection>
}

/** An answer other than 200. */
export class No extends Error {
  readonly status: number
  readonly error: string

  constructor(status: number, error: string, message: string) {
    super(message)
    this.status = status
    this.error = error
  }
}

const invalid = (message: string) => new No(400, 'validation_error', message)
const notFound = () => new No(404, 'not_found', 'Resource not found')
const forbidden = () => new No(403, 'authorization_error', 'Authorization error')

const reference = z.string().regex(/^([\w~-]*-)?[a-zA-Z0-9]{10,15}$|^[0-9a-f-]{36}$/, 'Must be a valid UUID or slug')
const uuid = z.uuid('Invalid UUID')
const Page = z.object({ limit: z.coerce.number().default(25), offset: z.coerce.number().default(0) })
const statuses = z.enum(['published', 'draft', 'archived'])

type Method = (wiki: Wiki, body: unknown, url: string) => object

function parse<Output>(schema: z.ZodType<Output>, body: unknown): Output {
  const { data, error } = schema.safeParse(body)
  const [issue] = error?.issues ?? []
  if (issue !== undefined) throw invalid([...issue.path, ''].join(': ') + issue.message)
  if (data === undefined) throw invalid('no body')
  return data
}

function paged<Item>(method: string, all: readonly Item[], body: unknown) {
  const { limit, offset } = parse(Page, body)
  if (limit > 100) throw new No(400, 'invalid_request', 'Pagination limit is too large (max 100)')
  if (limit < 1 || offset < 0) throw new No(400, 'invalid_request', 'Pagination is out of range')
  const nextPath = `/api/${method}?limit=${limit}&offset=${offset + limit}`
  return { data: all.slice(offset, offset + limit), pagination: { limit, offset, nextPath, total: all.length } }
}

function find({ documents }: Wiki, id: string): FakeDocument {
  const found = documents.get(id) ?? [...documents.values()].find((one) => one.urlId === id || slugOf(one) === id)
  if (found === undefined) throw notFound()
  return found
}

function statusOf({ archivedAt, publishedAt }: FakeDocument): z.infer<typeof statuses> {
  if (archivedAt !== null) return 'archived'
  return publishedAt === null ? 'draft' : 'published'
}

const Search = z.object({
  query: z.string().default(''),
  collectionId: uuid.optional(),
  statusFilter: z.array(statuses).optional(),
})

function searched(wiki: Wiki, body: unknown): readonly FakeDocument[] {
  const { query, collectionId, statusFilter } = parse(Search, body)
  if (collectionId !== undefined && !wiki.collections.has(collectionId)) throw forbidden()
  const words = query.toLowerCase().split(/\s+/).filter(Boolean)
  return [...wiki.documents.values()]
    .filter((one) => one.deletedAt === null && (collectionId === undefined || one.collectionId === collectionId))
    .filter((one) => statusFilter === undefined || statusFilter.includes(statusOf(one)))
    .filter(({ title, text }) => words.every((word) => `${title} ${text}`.toLowerCase().includes(word)))
    .reverse()
}

const search: Method = (wiki, body) => {
  const { query } = parse(Search, body)
  const { data, pagination } = paged('documents.search', searched(wiki, body), body)
  const hits = data.map((one) => ({
    ...(query === '' ? {} : { ranking: 0.06, context: one.text.slice(0, 200).replaceAll(query, `<b>${query}</b>`) }),
    document: present(one),
  }))
  return { pagination, data: hits, policies: data.map(policyOf) }
}

const searchTitles: Method = (wiki, body) => {
  const { data, pagination } = paged('documents.search_titles', searched(wiki, body), body)
  const { total: _untold, ...told } = pagination
  return { pagination: told, data: data.map(present), policies: data.map(policyOf) }
}

const list: Method = (wiki, body) => {
  const documents = searched(wiki, body).filter((one) => statusOf(one) === 'published')
  const byTitle = documents.toSorted((one, other) => one.title.localeCompare(other.title))
  const { data, pagination } = paged('documents.list', byTitle, body)
  return { pagination, data: data.map(present), policies: data.map(policyOf) }
}

const Info = z
  .object({ id: reference.optional(), shareId: uuid.optional() })
  .refine(({ id, shareId }) => id !== undefined || shareId !== undefined, 'one of id or shareId is required')

const info: Method = (wiki, body) => {
  const document = find(wiki, parse(Info, body).id ?? '')
  return { data: present(document), policies: [policyOf(document)] }
}

const exported: Method = (wiki, body) => {
  const { title, text } = find(wiki, parse(Info, body).id ?? '')
  return { data: `# ${title}\n\n${text}` }
}

const Create = z.object({
  title: z.string().default(''),
  text: z.string().max(1_536_000).default(''),
  collectionId: uuid.nullish(),
  parentDocumentId: uuid.nullish(),
  publish: z.boolean().default(false),
})

const create: Method = (wiki, body) => {
  const { title, text, collectionId, parentDocumentId, publish } = parse(Create, body)
  if (publish && !collectionId && !parentDocumentId)
    throw invalid('collectionId or parentDocumentId is required to publish')
  const parent = parentDocumentId ? wiki.documents.get(parentDocumentId) : undefined
  if (parentDocumentId && parent === undefined) throw forbidden()
  if (collectionId && !wiki.collections.has(collectionId)) throw forbidden()
  if ([...title].length > 100) throw invalid('Document title must be 100 characters or less (title)')
  const now = new Date().toISOString()
  const document: FakeDocument = {
    id: randomUUID(),
    urlId: newUrlId(),
    title,
    text: text.trimEnd(),
    collectionId: parent?.collectionId ?? collectionId ?? null,
    parentDocumentId: parentDocumentId ?? null,
    publishedAt: publish ? now : null,
    archivedAt: null,
    deletedAt: null,
    createdAt: now,
    updatedAt: now,
    revision: publish ? 2 : 1,
  }
  wiki.documents.set(document.id, document)
  return { data: present(document), policies: [policyOf(document)] }
}

const Update = z
  .object({
    id: reference,
    title: z.string().optional(),
    text: z.string().max(1_536_000).optional(),
    editMode: z.enum(['append', 'prepend', 'replace', 'patch']).default('replace'),
    findText: z.string().optional(),
    lastRevision: z.int().min(0).optional(),
  })
  .refine(
    ({ editMode, findText }) => editMode !== 'patch' || findText,
    'findText is required when using patch editMode',
  )

const update: Method = (wiki, body) => {
  const asked = parse(Update, body)
  const document = find(wiki, asked.id)
  if (document.deletedAt !== null) throw forbidden()
  if (asked.lastRevision !== undefined && asked.lastRevision !== document.revision)
    throw new No(409, 'document_conflict', 'Document has been modified since the provided revision')
  document.title = asked.title ?? document.title
  document.text = edited(document.text, asked)
  document.updatedAt = new Date().toISOString()
  document.revision++
  return { data: present(document), policies: [policyOf(document)] }
}

function edited(before: string, { text, editMode, findText = '' }: z.infer<typeof Update>): string {
  if (text === undefined) return before
  switch (editMode) {
    case 'append':
      return before + text
    case 'prepend':
      return text + before
    case 'replace':
      return text
    case 'patch':
      if (!before.includes(findText)) throw invalid('The specified text was not found in the document')
      return before.replace(findText, () => text)
    default:
      return editMode satisfies never
  }
}

const CreateCollection = z.object({ name: z.string(), description: z.string().nullish() })

const createCollection: Method = ({ collections }, body) => {
  const { name, description = null } = parse(CreateCollection, body)
  const collection = { id: randomUUID(), urlId: newUrlId(), name, description, createdAt: new Date().toISOString() }
  collections.set(collection.id, collection)
  return { data: presentCollection(collection), policies: [policyOf(collection)] }
}

const listCollections: Method = ({ collections }, body) => {
  const { query = '' } = parse(z.object({ query: z.string().optional() }), body)
  const all = [...collections.values()].filter(({ name }) => name.toLowerCase().includes(query.toLowerCase()))
  const { data, pagination } = paged('collections.list', all, body)
  return { pagination, data: data.map(presentCollection), policies: data.map(policyOf) }
}

const listBranches: Method = ({ documents, collections }, body) => {
  const { id } = parse(z.object({ id: uuid }), body)
  if (!collections.has(id)) throw forbidden()
  const published = [...documents.values()].filter((one) => one.deletedAt === null && statusOf(one) === 'published')
  const below = (parent: string | null): object[] =>
    published
      .filter(({ collectionId, parentDocumentId }) => collectionId === id && parentDocumentId === parent)
      .map((one) => ({ id: one.id, title: one.title, url: `/doc/${slugOf(one)}`, children: below(one.id) }))
  return { data: below(null) }
}

function newUrlId(): string {
  return randomBytes(16).toString('hex').slice(0, 10)
}

export const methods: Readonly<Record<string, Method>> = {
  'auth.info': (_wiki, _body, url) => presentAuth(url),
  'collections.create': createCollection,
  'collections.documents': listBranches,
  'collections.list': listCollections,
  'documents.create': create,
  'documents.export': exported,
  'documents.info': info,
  'documents.list': list,
  'documents.search': search,
  'documents.search_titles': searchTitles,
  'documents.update': update,
}
