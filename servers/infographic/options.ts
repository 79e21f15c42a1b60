import { z } from 'zod'

/** As much as this server takes of what the library takes: not its size, its container, its editor. */
export const options = z.object({
  template: z.string().optional(),
  design: z.looseObject({}).optional(),
  data: z.looseObject({}).optional(),
  theme: z.string().optional(),
  themeConfig: z.looseObject({}).optional(),
})

export type Options = z.infer<typeof options>
