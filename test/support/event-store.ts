import type { EventStore, JSONRPCMessage } from '@modelcontextprotocol/server'

/** Keeps what a server's streams carried, for a client that was cut off from one. */
export function createEventStore(): EventStore {
  const events: { readonly stream: string; readonly message: JSONRPCMessage }[] = []
  return {
    storeEvent: async (stream, message) => String(events.push({ stream, message })),
    getStreamIdForEventId: async (id) => events[Number(id) - 1]?.stream,
    replayEventsAfter: async (id, { send }) => {
      const stream = events[Number(id) - 1]?.stream ?? ''
      for (const [index, event] of events.entries())
        if (index >= Number(id) && event.stream === stream) await send(String(index + 1), event.message)
      return stream
    },
  }
}
