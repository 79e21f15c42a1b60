import { ask } from './ask.ts'
import { audit } from './audit.ts'
import type { Errand } from './errand.ts'
import { judge } from './judge.ts'
import type { Answer } from './leg.ts'
import type { Message } from './message.ts'
import { endWithClient, Patience, reach, refusalOf, withTarget } from './reach.ts'
import type { Sink } from './reply.ts'
import { sift } from './sift.ts'
import { grantOf, holds, servingTarget } from './table.ts'

/** Whether a server answers a legacy request outside of any session by itself. One that cannot be asked is taken at its best. */
export async function answersBare({ visit, server }: Errand): Promise<boolean> {
  const target = servingTarget(visit.snapshot, server)
  if (target === undefined) return true
  return visit.gateway.probes.finding(target).then(
    ({ bare }) => bare,
    () => true,
  )
}

/** Answers one legacy request outside of any session for a server that would not: in a session that the proxy keeps, or in the newer era. */
export async function answerBare(errand: Errand, message: Message, sink: Sink): Promise<string> {
  const { visit, server, grant } = errand
  const line = { server, method: message.method, tool: textOf(message.params.name), since: performance.now() }
  try {
    const { text, code } = await askBare(errand, message, sink)
    audit(visit, { ...line, outcome: code === undefined ? 'ok' : `error ${code}`, bytes: text.length })
    return sift(grant, text)
  } catch (error) {
    const timeout = visit.snapshot.servers.get(server)?.timeout ?? 0
    const refusal = refusalOf(visit.gateway, error, { server, timeout })
    audit(visit, { ...line, outcome: refusal.refusal, bytes: 0 })
    throw refusal
  }
}

async function askBare({ visit, server }: Errand, message: Message, sink: Sink): Promise<Answer> {
  const { gateway, agent } = visit
  const exchange = gateway.exchanges.open({
    agent,
    kind: 'call',
    allowed: (table) => {
      const grant = grantOf(table, agent, server)
      return holds(table, visit.hash, Date.now()) && grant !== undefined && judge(grant, message) === undefined
    },
  })
  endWithClient(visit, exchange)
  const { signal } = exchange
  try {
    const again = () => reach(gateway, server, signal)
    const first = await again()
    using patience = new Patience(exchange, first.timeout, gateway.limits.call)
    using spending = gateway.budgets.reserve(server, [message])
    const note = (text: string) => {
      patience.progress()
      sink.note(text)
    }
    return await withTarget(first, again, (target) => {
      exchange.move(target.generation)
      return ask(gateway, { target, agent, era: 'legacy', message, signal, spending, note })
    })
  } finally {
    exchange.close()
  }
}

function textOf(name: unknown): string | undefined {
  return typeof name === 'string' ? name : undefined
}
