/** A client's `fetch`, and a way to cut the streams that it reads. */
export function createScissors() {
  const open = new Set<AbortController>()
  return {
    fetch: async (url: string | URL, init?: RequestInit): Promise<Response> => {
      const response = await fetch(url, init)
      const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') === true
      if (init?.method !== 'POST' || !isStream || response.body === null) return response
      const end = new AbortController()
      open.add(end)
      const body = response.body.pipeThrough(new TransformStream(), { signal: end.signal })
      return new Response(body, { status: response.status, headers: response.headers })
    },
    /** Breaks off every answer that is being read, as a network would. */
    cut: () => {
      for (const end of open) end.abort(new Error('the connection was cut'))
      open.clear()
    },
  }
}
