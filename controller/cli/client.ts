import { toolsList } from './answer.ts'

/** A line to paste that asks for an agent's tools; `$TOKEN` where the token is not known. */
export function describeCall(endpoint: string, token = '$TOKEN'): string {
  return `curl -s ${endpoint}/mcp -H "Authorization: Bearer ${token}" -H 'Content-Type: application/json' -d '${toolsList}'`
}

/** The configuration of an MCP client, likewise. */
export function describeClient(endpoint: string, token = '$TOKEN'): string {
  const headers = { Authorization: `Bearer ${token}` }
  return JSON.stringify({ mcpServers: { gateway: { type: 'http', url: `${endpoint}/mcp`, headers } } })
}
