import { type Figures, median } from './figures.ts'
import { fire, type Result } from './load.ts'
import { cpuOf, memoryOf } from './process-cost.ts'
import { openUpstreams } from './program.ts'
import { type OpenWay, type Way, ways } from './ways.ts'

/** What a call costs by each way to a server that does nothing but answer: in turns within one run, so that what else the machine does hits all alike. */

const connections = [1, 16, 64] as const
/** Short ones, in turns: so what else the machine does hits all alike. */
const [rounds, seconds] = [9, 1]
/** Until all code that calls need is compiled as well as it will be. */
const warmUp = 8

interface Cell {
  readonly result: Result
  /** µs of CPU time of what stands between, for a call. */
  readonly cpu: number
}

interface Course {
  readonly way: Way
  readonly open: OpenWay
  /** Of three starts, ms. */
  readonly startUp: number
  /** MB, before any load. */
  readonly idle: number
  readonly cells: Map<number, Cell[]>
}

export async function callsBench(): Promise<Figures> {
  await using stack = new AsyncDisposableStack()
  const { origins } = stack.use(await openUpstreams('plain', { servers: 5 }))
  const courses: Course[] = []
  for (const way of ways) {
    const before = [await startUpOf(way, origins), await startUpOf(way, origins)]
    const open = stack.use(await way.open(origins))
    const [startUp, idle] = [median([...before, open.startUp]), memoryOf(open.pids())]
    courses.push({ way, open, startUp, idle, cells: new Map(connections.map((one) => [one, []])) })
  }
  for (const { open } of courses) await fire(open.target, 16, warmUp)
  for (let round = 0; round < rounds; round++)
    for (const count of connections)
      for (const { open, cells } of courses) cells.get(count)?.push(await measure(open, count))
  return figuresOf(courses)
}

async function startUpOf(way: Way, origins: readonly string[]): Promise<number> {
  await using open = await way.open(origins)
  return open.startUp
}

async function measure({ target, pids }: OpenWay, count: number): Promise<Cell> {
  const before = cpuOf(pids())
  const result = await fire(target, count, seconds)
  return { result, cpu: (cpuOf(pids()) - before) / result.requests.total }
}

function figuresOf(courses: readonly Course[]): Figures {
  const cpu = ({ cells }: Course, count: number) => median((cells.get(count) ?? []).map((cell) => cell.cpu))
  const floor = courses.find(({ way }) => way.name === 'bare Node proxy')
  const ours = courses.filter(({ way }) => way.name.startsWith('ours'))
  const ratio = (course: Course) => {
    const beside = floor?.cells.get(16) ?? []
    return median((course.cells.get(16) ?? []).map((cell, round) => cell.cpu / (beside[round]?.cpu ?? Number.NaN)))
  }
  const cell = (course: Course, count: number) => {
    const results = (course.cells.get(count) ?? []).map(({ result }) => result)
    const rate = Math.round(median(results.map(({ requests }) => requests.average)))
    const [p50, p99] = (['p50', 'p99'] as const).map((key) => median(results.map(({ latency }) => latency[key])))
    return [course.open.pids().length === 0 ? '–' : Math.round(cpu(course, count)), rate, `${p50} / ${p99}`]
  }
  const row = (course: Course) => {
    const { way, open, startUp, idle } = course
    const isThere = open.pids().length > 0
    const own = isThere
      ? [Math.round(idle), Math.round(memoryOf(open.pids())), Math.round(startUp), ratio(course).toFixed(2)]
      : ['–', '–', '–', '–']
    return [way.name, ...connections.flatMap((count) => cell(course, count)), ...own]
  }
  const heads = connections.flatMap((count) => [`CPU µs, c${count}`, `calls/s, c${count}`, `p50 / p99 ms, c${count}`])
  return {
    tables: [
      {
        title: 'A call, by each way to the same server',
        about: `Five servers with ten tools each that do nothing but answer (mcp-proxy and supergateway bridge one over stdio); ${warmUp} s to warm up, then ${rounds} rounds of ${seconds} s at 1, 16 and 64 connections, medians. CPU µs is what the thing between takes for a call: the figure that other load on the machine changes least. Memory before and after load, and the time from its start until it answers a call (the median of three), in MB and ms; the last column is its CPU for a call at 16 connections beside that of a bare Node proxy in the same round (the median of all), which hashes the token and forwards.`,
        columns: ['way', ...heads, 'MB idle', 'MB loaded', 'start ms', 'CPU beside bare'],
        rows: courses.map(row),
      },
    ],
    plots: [
      {
        name: 'calls',
        title: 'CPU time of one call, µs',
        unit: 'µs',
        labels: courses.slice(1).map(({ way }) => way.name),
        series: connections.map((count) => ({
          name: count === 1 ? '1 connection' : `${count} connections`,
          values: courses.slice(1).map((course) => Math.round(cpu(course, count))),
        })),
      },
    ],
    ratios: Object.fromEntries(
      ours.map((course) => [`${course.way.name}: CPU of a call beside a bare proxy`, ratio(course)]),
    ),
  }
}
