import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { callsBench } from './calls.bench.ts'
import { chartBench } from './chart.bench.ts'
import { deployBench } from './deploy.bench.ts'
import type { Figures } from './figures.ts'
import { draw, pageOf } from './page.ts'
import { passGrowthBench } from './pass-growth.bench.ts'
import { proxyGrowthBench } from './proxy-growth.bench.ts'
import { renderBench } from './render.bench.ts'
import { searchBench } from './search.bench.ts'

/**
 * `npm run bench [-- <names>] [--check | --write]`: prints figures; `--check` fails where a ratio is worse than its baseline,
 * `--write` makes docs/benchmarks.md, its plots and the baseline anew.
 */
const benches: Readonly<Record<string, () => Promise<Figures>>> = {
  calls: callsBench,
  'proxy-growth': proxyGrowthBench,
  'pass-growth': passGrowthBench,
  deploy: deployBench,
  render: renderBench,
  chart: chartBench,
  search: searchBench,
}
/** How much more than its baseline a ratio may be. */
const tolerance = 1.3
const baselineFile = new URL('baseline.json', import.meta.url)
const docs = new URL('../../docs/', import.meta.url)

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { check: { type: 'boolean' }, write: { type: 'boolean' } },
})
const unknown = positionals.filter((name) => !(name in benches))
if (unknown.length > 0) {
  console.error(`no bench ${unknown.join(', ')}; there are ${Object.keys(benches).join(', ')}`)
  process.exit(1)
}

const runs: { readonly name: string; readonly figures: Figures }[] = []
for (const [name, bench] of Object.entries(benches)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  const figures = await bench()
  runs.push({ name, figures })
  for (const { title, columns, rows } of figures.tables) {
    console.log(`\n${name}: ${title}`)
    console.table(rows.map((row) => Object.fromEntries(row.map((cell, index) => [columns[index] || 'what', cell]))))
  }
}
const ratios: Record<string, number> = Object.assign({}, ...runs.map(({ figures }) => figures.ratios ?? {}))
if (values.write) await write()
if (values.check) await check()

async function write(): Promise<void> {
  const machine = `${availableParallelism()} cores, Linux, Node ${process.version}`
  await mkdir(new URL('bench/', docs), { recursive: true })
  await writeFile(new URL('benchmarks.md', docs), pageOf(runs, machine))
  for (const plot of runs.flatMap(({ figures }) => figures.plots ?? []))
    await writeFile(new URL(`bench/${plot.name}.svg`, docs), draw(plot))
  const rounded = Object.fromEntries(Object.entries(ratios).map(([name, value]) => [name, Number(value.toFixed(3))]))
  await writeFile(baselineFile, `${JSON.stringify(rounded, null, 2)}\n`)
}

async function check(): Promise<void> {
  const baseline = z.record(z.string(), z.number()).parse(JSON.parse(await readFile(baselineFile, 'utf8')))
  for (const [name, value] of Object.entries(ratios)) {
    const before = baseline[name]
    const isWorse = before === undefined || value > before * tolerance
    console.log(`${isWorse ? 'WORSE' : 'fine '} ${name}: ${value.toFixed(3)}, baseline ${before ?? 'none'}`)
    if (isWorse) process.exitCode = 1
  }
}
