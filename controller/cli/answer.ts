import { z } from 'zod'

export const toolsList = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'

const Answer = z.object({ result: z.object({ tools: z.array(z.unknown()).nonempty() }) })
const answerWithin = 5_000

/** Whether agents get any tool at the joint endpoint of a gateway. */
export async function answers(endpoint: string, token: string): Promise<boolean> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const signal = AbortSignal.timeout(answerWithin)
  try {
    const answer = await fetch(`${endpoint}/mcp`, { method: 'POST', headers, body: toolsList, signal })
    return Answer.safeParse(await answer.json()).success
  } catch {
    return false
  }
}
