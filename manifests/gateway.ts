import { z } from 'zod'
import { ImageRef } from './address.ts'
import { BuildSpec } from './build.ts'
import { duration } from './quantity.ts'
import { text } from './text.ts'

/** `30%` → 0.3 */
const Share = text(/^(?:100|\d{1,2})%$/, 'a share such as 30%').transform((value) => Number.parseInt(value, 10) / 100)

const Prune = z.strictObject({
  most: Share.prefault('30%').describe(
    'Share of the servers that one commit may remove, and one in any case; more waits to be approved.',
  ),
  grace: duration(0)
    .prefault('24h')
    .describe('How long a removed server is kept, stopped, so that a revert brings it back at once.'),
})

const Governance = z.strictObject({
  approvals: z
    .int()
    .min(0)
    .prefault(1)
    .describe('Approvals by others that its pull request needs, beside no rejecting review.'),
})

/** `manifests/gateway.yaml`: the gateway itself. Optional. */
export const GatewayFile = z.strictObject({
  proxy: z
    .strictObject({
      build: BuildSpec.optional().describe('How the proxy’s image is built.'),
      image: ImageRef.optional().describe('The proxy’s image, by its digest.'),
    })
    .optional()
    .describe('Where the proxy comes from. Default the image that the running controller came in.'),
  governance: Governance.optional().describe('What a commit that widens access needs before it is applied.'),
  notifications: z.unknown().optional().describe('Who is told what.'),
  bake: duration(0).prefault('30s').describe('How long a new generation is watched before the old one is stopped.'),
  prune: Prune.prefault({}).describe('How much one commit may remove, and when that is gone for good.'),
})
export type GatewayFile = Readonly<z.infer<typeof GatewayFile>>
