import type { Lineage } from '../guides.ts'
import type { Mirror } from './mirror.ts'

/** Commits that are looked at one by one. */
const mostCommits = 1_000

/** How one commit of a bare repository leads to another. Throws what git says where it lacks one of them. */
export async function readLineage(mirror: Mirror, from: string, to: string): Promise<Lineage> {
  const { descends, approves, commits } = await mirror.path(from, to)
  return { rewound: !descends, approves, ...(commits.length <= mostCommits ? { commits } : {}) }
}
