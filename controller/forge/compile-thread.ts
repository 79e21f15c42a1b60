import { parentPort, workerData } from 'node:worker_threads'
import { z } from 'zod'
import { compile } from '../compile/compile.ts'
import { openBareTree } from '../source/bare-tree.ts'

// What strangers wrote is parsed in a thread of its own: it can take neither the controller's time nor its memory.

const Task = z.object({
  folder: z.string(),
  path: z.string(),
  inherited: z.record(z.string(), z.string()),
  trees: z.array(z.object({ oid: z.string(), commit: z.string() })),
})

const { trees, ...place } = Task.parse(workerData)
const answers = []
for (const [at, { oid, commit }] of trees.entries())
  try {
    answers.push(await compile(await openBareTree(place, oid, commit)))
  } catch (error) {
    // The first is what is asked about; the mirror may have lost what it is compared with.
    if (at === 0) throw error
    answers.push({ ok: false, faults: [] })
  }
parentPort?.postMessage(answers)
