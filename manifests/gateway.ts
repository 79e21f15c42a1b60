import { z } from 'zod'
import { ImageRef } from './address.ts'
import { BuildSpec, RepositoryPath } from './build.ts'
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

const ProductSpec = BuildSpec.extend({
  context: BuildSpec.shape.context.describe(
    'Folder that is the build context. Default the folder that holds `manifests/`.',
  ),
})

/** A build, or just its context. */
const ProductBuild = z.union([
  RepositoryPath.transform((context) => ProductSpec.parse({ context: context || '.' })),
  ProductSpec,
])

/** `manifests/gateway.yaml`: the gateway itself. Optional. */
export const GatewayFile = z.strictObject({
  proxy: z
    .strictObject({
      build: ProductBuild.optional().describe(
        'How the product’s image is built, out of this repository. Or just the folder that is the build context.',
      ),
      image: ImageRef.optional().describe('The product’s image, by its digest.'),
    })
    .optional()
    .describe(
      'What proxies run from, and with GATEWAY_SELF_UPDATE the controller too: exactly one of `build` and `image`. Default the image that the running controller came in.',
    ),
  governance: Governance.optional().describe('What a commit that widens access needs before it is applied.'),
  notifications: z.unknown().optional().describe('Who is told what.'),
  bake: duration(0).prefault('30s').describe('How long a new generation is watched before the old one is stopped.'),
  prune: Prune.prefault({}).describe('How much one commit may remove, and when that is gone for good.'),
})
export type GatewayFile = Readonly<z.infer<typeof GatewayFile>>
