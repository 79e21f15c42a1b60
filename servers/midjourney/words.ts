const mostWords = 300

/** What each status in a body means, and who can do what about it. */
const meanings: Readonly<Record<number, string>> = {
  400: 'The service found something wrong in the request: change it',
  401: 'The service does not take the key of this server: its operator must give another MIDJOURNEY_API_KEY',
  402: 'The account at the service has no credits left: its owner must buy some',
  404: 'The service has no such thing',
  422: 'The service does not take these parameters: change them',
  429: 'The service was asked too often: wait a minute, then try again',
  455: 'The service is being maintained: try again later',
  500: 'The service failed: try again later',
  501: 'The service could not draw it: change the prompt, or try again',
  505: 'The service has switched this off',
}

/** Says what a status means, with the service's own words. */
export function explainCode({ code, words }: { readonly code: number; readonly words: string }): string {
  const meaning = meanings[code] ?? `The service refused it with code ${code}`
  return words === '' ? meaning : `${meaning} (it said: ${words})`
}

/** Words of others in one line, not long, without what a terminal or a model may take for more than words. */
export function showable(text: string): string {
  const line = text.replace(/[\p{C}\s]+/gu, ' ').trim()
  return line.length > mostWords ? `${line.slice(0, mostWords)}…` : line
}
