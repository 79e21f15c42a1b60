import { rm } from 'node:fs/promises'
import { z } from 'zod'
import { knows, protect } from './forge-git.ts'
import type { Hooks } from './forge-hooks.ts'
import { mergeQueued, Refuse } from './forge-merge.ts'
import { ok, type Route, repoPath, route } from './forge-route.ts'
import { rows } from './forge-rows.ts'
import { type ForgeState, now, type Repo } from './forge-state.ts'

/** A repository: who may what, hooks, protections, and what is said of commits. */
export function repoRoutes(state: ForgeState, hooks: Hooks): readonly Route[] {
  const show = rows(state)
  const NewHook = z.object({
    active: z.boolean().default(false),
    events: z.array(z.string()).default(['push']),
    config: z.object({ url: z.string(), content_type: z.string(), secret: z.string().default('') }),
    authorization_header: z.string().default(''),
  })
  const HookChange = z.object({
    active: z.boolean().optional(),
    events: z.array(z.string()).optional(),
    config: z.object({ url: z.string().optional() }).optional(),
  })
  const NewProtection = z.object({
    rule_name: z.string(),
    status_check_contexts: z.array(z.string()).nullish(),
    enable_status_check: z.boolean().default(false),
    required_approvals: z.number().default(0),
    block_on_rejected_reviews: z.boolean().default(false),
    dismiss_stale_approvals: z.boolean().default(false),
    enable_merge_whitelist: z.boolean().default(false),
    merge_whitelist_usernames: z.array(z.string()).nullish(),
  })
  const hookOf = (repo: Repo, id: string | undefined) => {
    const hook = repo.hooks.find((one) => `${one.id}` === id)
    if (hook === undefined) throw new Refuse(404, "The target couldn't be found.")
    return hook
  }
  return [
    route(`GET ${repoPath}`, 'repository', 'read', ({ repo, user }) => ok(show.repo(repo, user))),
    route(`DELETE ${repoPath}`, 'repository', 'admin', async ({ repo }) => {
      state.repos.splice(state.repos.indexOf(repo), 1)
      await rm(repo.bare, { recursive: true, force: true })
      return { status: 204 }
    }),
    route(`PUT ${repoPath}/collaborators/:login`, 'repository', 'admin', ({ repo, params, body }) => {
      const { permission } = z.object({ permission: z.enum(['read', 'write', 'admin']) }).parse(body)
      repo.rights.set(params.login ?? '', permission)
      return { status: 204 }
    }),
    route(`GET ${repoPath}/branches/:branch`, 'repository', 'read', ({ repo, params, user }) => {
      const name = params.branch ?? ''
      if (!repo.refs.has(`refs/heads/${name}`)) throw new Refuse(404, 'branch does not exist')
      return ok(show.branch(repo, name, user))
    }),
    route(`GET ${repoPath}/hooks`, 'repository', 'admin', ({ repo }) => ok(repo.hooks.map(show.hook))),
    route(`POST ${repoPath}/hooks`, 'repository', 'admin', ({ repo, body }) => {
      const { config, authorization_header: authorization, ...rest } = NewHook.parse(body)
      const hook = { id: state.next(), url: config.url, secret: config.secret, authorization, ...rest }
      repo.hooks.push(hook)
      return ok(show.hook(hook), 201)
    }),
    // The secret stays what it was, whatever is asked for.
    route(`PATCH ${repoPath}/hooks/:id`, 'repository', 'admin', ({ repo, params, body }) => {
      const hook = hookOf(repo, params.id)
      const { active, events, config } = HookChange.parse(body)
      Object.assign(hook, {
        ...(active === undefined ? {} : { active }),
        ...(events === undefined ? {} : { events }),
        url: config?.url ?? hook.url,
      })
      return ok(show.hook(hook))
    }),
    route(`DELETE ${repoPath}/hooks/:id`, 'repository', 'admin', ({ repo, params }) => {
      repo.hooks.splice(repo.hooks.indexOf(hookOf(repo, params.id)), 1)
      return { status: 204 }
    }),
    route(`POST ${repoPath}/hooks/:id/tests`, 'repository', 'admin', async ({ repo, params, user }) => {
      await hooks.test(repo, hookOf(repo, params.id).id, user)
      return { status: 204 }
    }),
    route(`GET ${repoPath}/branch_protections`, 'repository', 'admin', ({ repo }) =>
      ok(repo.protections.map(({ row }) => row)),
    ),
    route(`POST ${repoPath}/branch_protections`, 'repository', 'admin', async ({ repo, body }) => {
      const asked = NewProtection.parse(body)
      const row = { branch_name: asked.rule_name, ...z.record(z.string(), z.unknown()).parse(body) }
      repo.protections.push({
        branch: asked.rule_name,
        row,
        contexts: asked.status_check_contexts ?? [],
        checks: asked.enable_status_check,
        approvals: asked.required_approvals,
        blocksOnRejection: asked.block_on_rejected_reviews,
        dismissesStale: asked.dismiss_stale_approvals,
        mergers: asked.enable_merge_whitelist ? (asked.merge_whitelist_usernames ?? []) : undefined,
      })
      await protect(
        repo.bare,
        repo.protections.map(({ branch }) => branch),
      )
      return ok(row, 201)
    }),
    ...statusRoutes(state, hooks),
  ]
}

/** Any state is taken, any length, and a branch in place of a commit. */
function statusRoutes(state: ForgeState, hooks: Hooks): readonly Route[] {
  const show = rows(state)
  const NewStatus = z.object({
    state: z.string().default(''),
    context: z.string().default('default'),
    description: z.string().default(''),
    target_url: z.string().default(''),
  })
  const shaOf = async (repo: Repo, ref: string | undefined) => {
    const sha = repo.refs.get(`refs/heads/${ref}`) ?? ref ?? ''
    if (!/^[0-9a-f]{40,64}$/.test(sha) || !(await knows(repo.bare, sha))) throw new Refuse(404, 'object does not exist')
    return sha
  }
  return [
    route(`POST ${repoPath}/statuses/:sha`, 'repository', 'write', async ({ repo, params, body, user }) => {
      const sha = await shaOf(repo, params.sha)
      const { state: told, target_url: url, ...rest } = NewStatus.parse(body)
      const row = { id: state.next(), sha, state: told, url, user, at: now(), ...rest }
      repo.statuses.push(row)
      await mergeQueued(repo, hooks)
      return ok(show.status(repo, row), 201)
    }),
    route(`GET ${repoPath}/commits/:sha/status`, 'repository', 'read', async ({ repo, params, user }) =>
      ok(show.combined(repo, await shaOf(repo, params.sha), user)),
    ),
    route(`GET ${repoPath}/commits/:sha/pull`, 'repository', 'read', ({ repo, params, user }) => {
      const pull = repo.pulls.find(({ merge }) => merge !== undefined && merge.sha === params.sha)
      if (pull === undefined) throw new Refuse(404, 'pull request does not exist')
      return ok(show.pull(repo, pull, user))
    }),
  ]
}
