import * as echarts from 'echarts'
import type { Figures, Plot, Table } from './figures.ts'

/** The page of a run, in Markdown; its plots lie beside it in `bench/`. */
export function pageOf(runs: readonly { readonly name: string; readonly figures: Figures }[], machine: string): string {
  const parts = runs.flatMap(({ name, figures }) => [
    ...figures.tables.map((table) => sectionOf(table, name)),
    ...(figures.plots ?? []).map((plot) => `![${plot.title}](bench/${plot.name}.svg)\n`),
  ])
  return `# Benchmarks

Written by \`npm run bench -- --write\` on ${machine}; each table by \`npm run bench -- <its name>\`. Compare figures of one run with
each other, not with those of other machines. \`npm run bench -- --check\` holds the ratios of a run against
[the baseline](../test/bench/baseline.json).

${parts.join('\n')}`
}

function sectionOf({ title, about, columns, rows }: Table, name: string): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`
  const rule = line(columns.map((_, index) => (index === 0 ? '---' : '---:')))
  return [`## ${title}\n`, `\`${name}\`: ${about}\n`, line(columns), rule, ...rows.map(line), ''].join('\n')
}

/** Bars, as SVG. */
export function draw({ title, unit, labels, series }: Plot): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: 900, height: 420 })
  chart.setOption({
    animation: false,
    backgroundColor: '#fff',
    title: { text: title, left: 'center' },
    legend: { top: 44, itemGap: 24 },
    grid: { left: 60, right: 20, top: 90, bottom: 90 },
    xAxis: { type: 'category', data: [...labels], axisLabel: { interval: 0, rotate: 20 } },
    yAxis: { type: 'value', name: unit },
    series: series.map(({ name, values }) => ({ name, type: 'bar', data: [...values] })),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}
