import type { EngineNetwork } from './engine.ts'

const bits = 28

/** First and last address as numbers. */
type Range = readonly [number, number]

/** The first /28 of `pool` (CIDR) that overlaps with no network and none of `others`, or undefined when it is full. */
export function freeSubnet(
  pool: string,
  networks: readonly EngineNetwork[],
  others: readonly string[] = [],
): string | undefined {
  const whole = rangeOf(pool)
  if (whole === undefined) throw new Error(`GATEWAY_SUBNETS: "${pool}" is not an IPv4 range such as 10.213.0.0/16`)
  const taken = [...networks.flatMap(subnetsOf), ...others].map(rangeOf).filter((range) => range !== undefined)
  const size = 2 ** (32 - bits)
  for (let first = whole[0]; first + size - 1 <= whole[1]; first += size)
    if (!overlaps([first, first + size - 1], taken)) return `${dotted(first)}/${bits}`
}

function subnetsOf(network: EngineNetwork): string[] {
  return (network.IPAM?.Config ?? []).flatMap(({ Subnet }) => (typeof Subnet === 'string' ? Subnet : []))
}

function overlaps([first, last]: Range, taken: readonly Range[]): boolean {
  return taken.some(([low, high]) => first <= high && low <= last)
}

function rangeOf(cidr: string): Range | undefined {
  const [, address, prefix] = /^(\d{1,3}(?:\.\d{1,3}){3})\/(\d{1,2})$/.exec(cidr) ?? []
  if (address === undefined || Number(prefix) > 32) return undefined
  const size = 2 ** (32 - Number(prefix))
  const value = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
  const first = value - (value % size)
  return [first, first + size - 1]
}

function dotted(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}
