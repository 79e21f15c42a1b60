import { z } from 'zod'
import { ImageRef, OutsideUrl } from './address.ts'
import { BuildSpec, RepositoryPath } from './build.ts'
import { SecretName } from './name.ts'
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

const Address = {
  url: OutsideUrl.optional().describe('Where to send, if everybody may read it.'),
  secret: SecretName.optional().describe('Name in the secrets file of the URL to send to.'),
}
const hasOneAddress = ({ url, secret }: { readonly url?: unknown; readonly secret?: unknown }) =>
  (url === undefined) !== (secret === undefined)
const oneAddress = { error: 'expected exactly one of url and secret' }

export const NoticeKind = z.enum(['degraded', 'stalled', 'held', 'recovered'])
export type NoticeKind = z.infer<typeof NoticeKind>

const Notifications = z.strictObject({
  webhook: z
    .strictObject(Address)
    .refine(hasOneAddress, oneAddress)
    .optional()
    .describe('A POST of JSON for each notice.'),
  ntfy: z
    .strictObject({
      ...Address,
      token: SecretName.optional().describe('Name in the secrets file of an access token.'),
    })
    .refine(hasOneAddress, oneAddress)
    .optional()
    .describe('A topic of an ntfy server.'),
  about: z
    .array(NoticeKind)
    .min(1)
    .prefault([...NoticeKind.options])
    .describe(
      'What is told: a commit that is not applied, a server that stalls, what waits to be approved, the end of it.',
    ),
  most: z.int().min(1).max(1_000).prefault(20).describe('Notices an hour; what is more is not told.'),
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
  notifications: Notifications.optional().describe('Who is told when something breaks. Default nobody.'),
  bake: duration(0).prefault('30s').describe('How long a new generation is watched before the old one is stopped.'),
  prune: Prune.prefault({}).describe('How much one commit may remove, and when that is gone for good.'),
})
export type GatewayFile = Readonly<z.infer<typeof GatewayFile>>
