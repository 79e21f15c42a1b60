import { z } from 'zod'
import { ImageRef } from './address.ts'
import { BuildSpec } from './build.ts'

/** `manifests/gateway.yaml`: the gateway itself. Optional. */
export const GatewayFile = z.strictObject({
  proxy: z
    .strictObject({
      build: BuildSpec.optional().describe('How the proxy’s image is built.'),
      image: ImageRef.optional().describe('The proxy’s image, by its digest.'),
    })
    .optional()
    .describe('Where the proxy comes from. Default the image that the running controller came in.'),
  governance: z.unknown().optional().describe('What a commit that widens access needs before it is applied.'),
  notifications: z.unknown().optional().describe('Who is told what.'),
  bake: z.unknown().optional().describe('How long a new generation is watched before the old one is stopped.'),
  prune: z.unknown().optional().describe('How much one commit may remove.'),
})
