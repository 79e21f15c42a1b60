import type { NoticeAddress, Notifications } from '../desired.ts'
import type { Notice } from './notice.ts'

/** A notice as one HTTP POST. */
export interface Letter {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export const channels = ['webhook', 'ntfy'] as const
export type Channel = (typeof channels)[number]

/** The channels that a notice goes to. */
export function channelsOf({ webhook, ntfy }: Notifications): readonly Channel[] {
  const addresses = { webhook, ntfy }
  return channels.filter((channel) => addresses[channel] !== undefined)
}

/** The request that carries a notice, with the secrets' values; or why there is none. `page` is the status page. */
export function letterOf(
  notice: Notice,
  channel: Channel,
  {
    notifications,
    secrets,
    page,
  }: { notifications: Notifications; secrets: ReadonlyMap<string, string>; page: string },
): Letter | string {
  const address = notifications[channel]
  const url = address === undefined ? undefined : urlOf(address, secrets)
  if (url === undefined || !URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    return `notifications.${channel}: ${address?.secret === undefined ? 'no address' : `the secret ${address.secret} is no http(s) URL`}`
  if (channel === 'webhook')
    return { url, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...notice, page }) }
  const token = notifications.ntfy?.token === undefined ? undefined : secrets.get(notifications.ntfy.token)
  return {
    url,
    headers: {
      title: `${notice.instance}: ${notice.subject} ${notice.kind}`,
      priority: notice.kind === 'recovered' ? 'default' : 'high',
      tags: notice.kind === 'recovered' ? 'white_check_mark' : 'warning',
      ...(page === '' ? {} : { click: page }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: notice.text,
  }
}

function urlOf({ url, secret }: NoticeAddress, secrets: ReadonlyMap<string, string>): string | undefined {
  return url ?? (secret === undefined ? undefined : secrets.get(secret))
}
