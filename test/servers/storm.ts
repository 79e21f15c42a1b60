import { expect } from 'vitest'
import type { McpClient, ToolAnswer } from '../support/mcp-clients.ts'
import { memoryOf } from '../support/process-tree.ts'

export interface Storm {
  readonly drawn: readonly ToolAnswer[]
  /** Answers of a drawing server that has no place for more. */
  readonly busy: readonly ToolAnswer[]
  /** Bytes that the server and its browser held at most. */
  readonly peak: number
}

/** Two hundred calls at once. Fails where one is answered otherwise than with a picture or with busy. */
export async function raiseStorm(
  pid: number,
  client: McpClient,
  call: (index: number) => readonly [tool: string, args: Readonly<Record<string, unknown>>],
): Promise<Storm> {
  let peak = 0
  const watch = setInterval(() => {
    peak = Math.max(peak, memoryOf(pid))
  }, 200)
  try {
    const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => client.callTool(...call(index))))
    const [busy, drawn] = [answers.filter(({ isError }) => isError), answers.filter(({ isError }) => !isError)]
    for (const { text } of busy) expect(text).toMatch(/busy.*Try again/)
    return { drawn, busy, peak }
  } finally {
    clearInterval(watch)
  }
}
