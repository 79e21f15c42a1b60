/** What the fake Outline shows of itself, in the shapes that Outline 1.9.1 was recorded to have. */

export interface FakeDocument {
  readonly id: string
  readonly urlId: string
  title: string
  text: string
  readonly collectionId: string | null
  readonly parentDocumentId: string | null
  publishedAt: string | null
  archivedAt: string | null
  deletedAt: string | null
  readonly createdAt: string
  updatedAt: string
  revision: number
}

export interface FakeCollection {
  readonly id: string
  readonly urlId: string
  readonly name: string
  readonly description: string | null
  readonly createdAt: string
}

const userId = '6d7c5d0a-52a7-4b39-9a6e-0a3f1c7c2a11'
const teamId = '2f2b0f0e-6c0c-4a51-8f0d-5a4f3d2c1b00'
const born = '2026-01-02T03:04:05.678Z'
const user = {
  id: userId,
  name: 'Test',
  avatarUrl: null,
  color: '#000000',
  role: 'admin',
  isSuspended: false,
  createdAt: born,
  updatedAt: born,
  deletedAt: null,
  lastActiveAt: born,
  timezone: null,
}

export function policyOf({ id }: { readonly id: string }) {
  return { id, abilities: { read: true, update: true } }
}

export function slugOf({ title, urlId }: Pick<FakeDocument, 'title' | 'urlId'>): string {
  const words = title.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')
  return `${words.replaceAll(/^-|-$/g, '') || 'untitled'}-${urlId}`
}

export function present(document: FakeDocument) {
  return {
    ...document,
    url: `/doc/${slugOf(document)}`,
    icon: null,
    color: null,
    tasks: { completed: 0, total: 0 },
    language: null,
    createdBy: user,
    updatedBy: user,
    collaboratorIds: [userId],
    fullWidth: false,
    preferences: null,
    isCollectionDeleted: false,
    templateId: null,
    insightsEnabled: true,
    popularityScore: 0,
  }
}

export function presentCollection(collection: FakeCollection) {
  return {
    ...collection,
    url: `/collection/${collection.name.toLowerCase()}-${collection.urlId}`,
    sort: { field: 'index', direction: 'asc' },
    icon: null,
    color: null,
    updatedAt: collection.createdAt,
    index: 'P',
    sharing: true,
    commenting: null,
    templateManagement: 'read_write',
    permission: 'read_write',
    deletedAt: null,
    archivedAt: null,
  }
}

const teamSwitches = {
  sharing: true,
  memberCollectionCreate: true,
  memberTeamCreate: true,
  documentEmbeds: true,
  guestSignin: false,
  passkeysEnabled: true,
  inviteRequired: false,
}

/** What auth.info says, for a wiki at `url`. */
export function presentAuth(url: string) {
  const team = { id: teamId, name: 'Tests', avatarUrl: null, url }
  const self = { email: 'test@example.org', language: 'en_US', preferences: null, notificationSettings: {} }
  return {
    data: {
      user: { ...user, ...self },
      team: {
        ...team,
        ...teamSwitches,
        description: null,
        defaultCollectionId: null,
        subdomain: 'tests',
        domain: null,
        defaultUserRole: 'member',
        allowedDomains: [],
        preferences: { membersCanInvite: true },
        guidanceMCP: null,
      },
      groups: [],
      groupUsers: [],
      availableTeams: [{ ...team, isSignedIn: true }],
    },
    policies: [policyOf(team), policyOf(user)],
  }
}
