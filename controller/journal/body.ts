import { z } from 'zod'

/** A row that holds one document. */
export const Body = z.object({ body: z.string() })
