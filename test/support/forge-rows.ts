import {
  atLeast,
  type Comment,
  type ForgeState,
  fullName,
  type Hook,
  type Pull,
  type Repo,
  type Review,
  rightOf,
  type StatusRow,
  statusesOf,
  type User,
} from './forge-state.ts'

const never = '0001-01-01T00:00:00Z'

/** What Forgejo shows of its things. Lists are null where Forgejo's are. */
export function rows(state: ForgeState) {
  const user = ({ id, login }: User) => ({
    id,
    login,
    login_name: '',
    source_id: 0,
    full_name: '',
    email: `${login}@noreply.example.invalid`,
    avatar_url: `${state.url}/avatars/${id}`,
    html_url: `${state.url}/${login}`,
    language: '',
    is_admin: false,
    last_login: never,
    created: never,
    restricted: false,
    active: false,
    prohibit_login: false,
    location: '',
    pronouns: '',
    website: '',
    description: '',
    visibility: 'public',
    followers_count: 0,
    following_count: 0,
    starred_repos_count: 0,
    username: login,
  })
  const repo = (one: Repo, viewer?: User) => {
    const right = rightOf(one, viewer)
    const name = fullName(one)
    return {
      id: one.id,
      owner: user(one.owner),
      name: one.name,
      full_name: name,
      description: '',
      empty: one.refs.size === 0,
      private: one.private,
      fork: one.parent !== undefined,
      parent: null,
      html_url: `${state.url}/${name}`,
      url: `${state.url}/api/v1/repos/${name}`,
      ssh_url: `ssh://git@forge.example.invalid/${name}.git`,
      clone_url: `${state.url}/${name}.git`,
      default_branch: 'main',
      archived: false,
      permissions: {
        admin: right === 'admin',
        push: right === 'admin' || right === 'write',
        pull: right !== undefined,
      },
      has_pull_requests: true,
      object_format_name: 'sha1',
      repo_transfer: null,
      topics: [],
    }
  }
  const pull = (base: Repo, one: Pull, viewer?: User) => {
    const gone = !one.head.repo.refs.has(`refs/heads/${one.head.branch}`)
    const html = `${state.url}/${fullName(base)}/pulls/${one.number}`
    return {
      id: one.id,
      url: html,
      number: one.number,
      user: user(one.user),
      title: one.title,
      body: one.body,
      labels: [],
      milestone: null,
      assignee: null,
      assignees: null,
      requested_reviewers: [],
      requested_reviewers_teams: [],
      state: one.state,
      draft: /^(WIP:|\[WIP\])/i.test(one.title),
      is_locked: false,
      comments: base.comments.filter(({ number }) => number === one.number).length,
      review_comments: one.reviews.length,
      html_url: html,
      diff_url: `${html}.diff`,
      patch_url: `${html}.patch`,
      mergeable: one.state === 'closed' || Date.now() >= one.checkedAt,
      merged: one.merge !== undefined,
      merged_at: one.merge?.at ?? null,
      merge_commit_sha: one.merge?.sha ?? null,
      merged_by: one.merge === undefined ? null : user(one.merge.by),
      allow_maintainer_edit: false,
      base: {
        label: one.base,
        ref: one.base,
        sha: base.refs.get(`refs/heads/${one.base}`) ?? '',
        repo_id: base.id,
        repo: repo(base, viewer),
      },
      head: {
        label: one.head.branch,
        ref: gone ? `refs/pull/${one.number}/head` : one.head.branch,
        sha: one.tip,
        repo_id: one.head.repo.id,
        repo: repo(one.head.repo, viewer),
      },
      due_date: null,
      created_at: one.created,
      updated_at: one.updated,
      closed_at: one.state === 'closed' ? one.updated : null,
      pin_order: 0,
      flow: 0,
    }
  }
  const review = (base: Repo, number: number, one: Review) => ({
    id: one.id,
    user: user(one.user),
    team: null,
    state: one.state,
    body: one.body,
    commit_id: one.commit,
    stale: base.pulls.find((candidate) => candidate.number === number)?.tip !== one.commit,
    official: one.official,
    dismissed: one.dismissed,
    comments_count: 0,
    submitted_at: one.at,
    updated_at: one.at,
    html_url: `${state.url}/${fullName(base)}/pulls/${number}#issuecomment-${one.id}`,
    pull_request_url: `${state.url}/${fullName(base)}/pulls/${number}`,
  })
  const comment = (base: Repo, one: Comment) => ({
    id: one.id,
    html_url: `${state.url}/${fullName(base)}/pulls/${one.number}#issuecomment-${one.id}`,
    pull_request_url: `${state.url}/${fullName(base)}/pulls/${one.number}`,
    issue_url: '',
    user: user(one.user),
    original_author: '',
    original_author_id: 0,
    body: one.body,
    assets: [],
    created_at: one.at,
    updated_at: one.updated,
  })
  const status = (base: Repo, one: StatusRow) => ({
    id: one.id,
    status: one.state,
    target_url: one.url,
    description: one.description,
    url: `${state.url}/api/v1/repos/${fullName(base)}/statuses/${one.sha}`,
    context: one.context,
    creator: user(one.user),
    created_at: one.at,
    updated_at: one.at,
  })
  const combined = (base: Repo, sha: string, viewer?: User) => {
    const all = statusesOf(base, sha)
    return {
      state: worst(all.map((one) => one.state)),
      sha,
      total_count: all.length,
      statuses: all.length === 0 ? null : all.map((one) => status(base, one)),
      repository: repo(base, viewer),
      commit_url: '',
      url: '',
    }
  }
  /** A protected branch, of this forge, takes no push. */
  const branch = (base: Repo, name: string, viewer?: User) => {
    const protection = base.protections.find((one) => one.branch === name)
    const writes = atLeast(rightOf(base, viewer), 'write')
    return {
      name,
      commit: {
        id: base.refs.get(`refs/heads/${name}`) ?? '',
        author: null,
        added: null,
        removed: null,
        modified: null,
      },
      protected: protection !== undefined,
      required_approvals: protection?.approvals ?? 0,
      enable_status_check: protection?.checks ?? false,
      status_check_contexts: protection?.contexts ?? null,
      user_can_push: writes && protection === undefined,
      user_can_merge: writes && (protection?.mergers?.includes(viewer?.login ?? '') ?? true),
      effective_branch_protection_name: '',
    }
  }
  const hook = (one: Hook) => ({
    id: one.id,
    type: 'forgejo',
    branch_filter: '*',
    config: { content_type: 'json', url: one.url },
    events: one.events,
    authorization_header: one.authorization,
    active: one.active,
  })
  return { user, repo, pull, review, comment, status, combined, branch, hook }
}

/** A state that the forge does not know is worse than none that it knows. */
function worst(states: readonly string[]): string {
  const known = ['success', 'pending', 'warning', 'failure', 'error']
  const rank = (state: string) => (known.includes(state) ? known.indexOf(state) : -1)
  if (states.length === 0) return ''
  return states.find((state) => rank(state) < 0) ?? states.toSorted((a, b) => rank(b) - rank(a))[0] ?? ''
}
