import { isCovered } from '#manifests/glob.ts'
import type { Config } from '../config/config.ts'
import { type Forge, openForge } from '../forge/client.ts'
import { ForgeDown, ForgeRefusal } from '../forge/fault.ts'
import { contexts } from '../forge/statuses.ts'
import { type Check, fail, ok, warn, wordsOf } from './check.ts'

const within = 30_000
/** What no repository has: who may write it is told so, who may not is told that. */
const nowhere = { sha: '0'.repeat(40), comment: 0, body: 'gateway doctor' }

type Place = Pick<Config, 'forge' | 'source' | 'inherited'>

/** What the forge's token may do of what a gateway does, asked so that nothing is changed. */
export async function checkForgeToken({ forge, source, inherited }: Place): Promise<readonly Check[]> {
  if (forge === undefined) return []
  const { caFile, branch } = source
  await using client = openForge({ ...forge, inherited, ...(caFile === undefined ? {} : { caFile }) })
  const signal = AbortSignal.timeout(within)
  const reads = await may('forge reading', 'the token reads pull requests', () => client.openPulls(signal))
  if (reads.verdict !== 'ok') return [reads]
  const status = { state: 'pending', context: contexts.deploy, description: '' } as const
  return [
    reads,
    await may('forge comments', 'the token may comment', () =>
      client.editComment(nowhere.comment, nowhere.body, signal),
    ),
    await may('forge statuses', 'the token may post statuses', () =>
      absent(client.postStatus(nowhere.sha, status, signal)),
    ),
    ...(await checkBranch(client, { branch, url: `${forge.url}/${forge.repository}` }, signal)),
  ]
}

async function may(what: string, is: string, ask: () => Promise<unknown>): Promise<Check> {
  try {
    await ask()
    return ok(what, is)
  } catch (error) {
    return (error instanceof ForgeDown ? warn : fail)(what, wordsOf(error))
  }
}

/** Whoever is told that there is no such thing might have written it. Some versions of the forge have no better word for it than 500. */
async function absent(answer: Promise<unknown>): Promise<void> {
  await answer.catch((error: unknown) => {
    const status = error instanceof ForgeRefusal || error instanceof ForgeDown ? error.status : undefined
    if (status !== 404 && status !== 500) throw error
  })
}

/** Whether what the gateway says of a pull request is heeded, and whether its own token could go around it. */
async function checkBranch(
  client: Pick<Forge, 'branch'>,
  { branch: name, url }: { readonly branch: string; readonly url: string },
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const branch = await client.branch(name, signal).catch(() => undefined)
  if (branch === undefined) return [warn('branch', `the forge does not tell of the branch ${name}`)]
  const set = `set at ${url}/settings/branches`
  const verbs = [...(branch.mayPush ? ['push to'] : []), ...(branch.mayMerge ? ['merge into'] : [])]
  return [
    isCovered(contexts.validate, branch.required)
      ? ok('branch', `a merge into ${name} needs ${contexts.validate}`)
      : warn('branch', `a merge into ${name} does not need the status ${contexts.validate}: ${set}`),
    verbs.length === 0
      ? ok('forge token', `its user may not change ${name}`)
      : warn(
          'forge token',
          `its user may ${verbs.join(' and ')} ${name}: a protection that names others alone is ${set}`,
        ),
  ]
}
