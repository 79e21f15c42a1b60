import { z } from 'zod'

/** Why something is as it is, as `gateway explain` tells it: facts in the order in which people read them. */
export const Account = z.strictObject({
  about: z.enum(['server', 'agent']),
  name: z.string(),
  facts: z.array(z.strictObject({ what: z.string(), is: z.string() })),
})
export type Account = Readonly<z.infer<typeof Account>>
