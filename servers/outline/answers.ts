import { z } from 'zod'

const when = z.string().nullish()

/** A document, as much of it as is used. */
export const Document = z.object({
  id: z.string(),
  /** Path, or the whole address. */
  url: z.string(),
  urlId: z.string(),
  title: z.string(),
  text: z.string(),
  revision: z.number(),
  updatedAt: z.string(),
  updatedBy: z.object({ name: z.string() }).nullish(),
  publishedAt: when,
  archivedAt: when,
  /** Set while it is in the trash: Outline gives it all the same. */
  deletedAt: when,
  collectionId: z.string().nullish(),
})
export type Document = z.infer<typeof Document>

/** `total` is not in Outline's contract, and older versions do not tell it. */
const pagination = z.object({ total: z.number().optional() }).default({})

export const OneDocument = z.object({ data: Document })

export const Hits = z.object({
  data: z.array(z.object({ ranking: z.number().optional(), context: z.string().nullish(), document: Document })),
  pagination,
})
export type Hit = z.infer<typeof Hits>['data'][number]

export const Collections = z.object({
  data: z.array(
    z.object({
      id: z.string(),
      url: z.string().optional(),
      name: z.string(),
      description: z.string().nullish(),
      archivedAt: when,
    }),
  ),
  pagination,
})
export type Collection = z.infer<typeof Collections>['data'][number]

export interface Branch {
  readonly id: string
  readonly title: string
  readonly url: string
  readonly children: readonly Branch[]
}

const Branch: z.ZodType<Branch> = z.object({
  id: z.string(),
  title: z.string(),
  url: z.string(),
  get children() {
    return z.array(Branch).default([])
  },
})

/** A collection's documents; null where it has none yet. */
export const Tree = z.object({ data: z.array(Branch).nullable() })

export const Anything = z.object({})

/** An error's body; `error` and `message` may be empty. */
export const Refusal = z.object({ error: z.string().default(''), message: z.string().default('') })
