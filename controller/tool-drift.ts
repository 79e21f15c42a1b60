import { canonical, type Definition, type DefinitionPart, definitionParts, partsOf } from '#manifests/definition.ts'
import type { DriftedTool } from '#manifests/status.ts'
import { escaped } from '#manifests/suspect.ts'
import type { GenerationReport, Pins, ToolDrift } from '#manifests/table.ts'

/** What a generation's tools are measured by: the pins that are in force, and the definitions that were reviewed. */
export interface Measure {
  readonly pins: Pins | undefined
  readonly reviewed: readonly Definition[]
}

/** Tools that differ from what was reviewed: what was, what is, and what agents get. Pure. */
export function driftedTools(
  reports: readonly GenerationReport[],
  { pins, reviewed }: Measure,
  view: 'public' | 'operator',
): readonly DriftedTool[] {
  if (pins === undefined) return []
  const all = new Map(reports.flatMap(({ drift = [] }) => drift.map((one) => [one.tool, one] as const)))
  return [...all.values()].flatMap((drift) => {
    const old = pins.tools.find(({ name }) => name === drift.tool)?.hash
    // A proxy that has just taken a newer lock may not have looked since.
    if (old !== undefined && old === drift.hash) return []
    const before = reviewed.find(({ name, hash }) => name === drift.tool && hash === old)
    return {
      tool: drift.tool,
      change: drift.change,
      treated: treatmentOf(drift, pins.mode),
      ...(old === undefined ? {} : { old }),
      ...(drift.hash === undefined ? {} : { new: drift.hash }),
      ...differences(before, drift, view),
    }
  })
}

function treatmentOf({ change }: ToolDrift, mode: Pins['mode']): DriftedTool['treated'] {
  if (mode === 'warn') return 'listed'
  return mode === 'hold' && change === 'changed' ? 'held' : 'blocked'
}

function differences(
  before: Definition | undefined,
  { definition }: ToolDrift,
  view: 'public' | 'operator',
): Pick<DriftedTool, 'differs'> {
  if (before === undefined || definition === undefined) return {}
  const [was, is] = [partsOf(before), partsOf({ text: definition })]
  const parts = differing(was, is)
  const texts = (part: DefinitionPart) => ({ ...textOf('old', was[part]), ...textOf('new', is[part]) })
  return { differs: parts.map((part) => ({ part, ...(view === 'operator' ? texts(part) : {}) })) }
}

type Parts = ReturnType<typeof partsOf>

/** The parts in which two definitions differ. */
export function differing(a: Parts, b: Parts): readonly DefinitionPart[] {
  const text = (value: unknown) => (value === undefined ? '' : canonical(value))
  return definitionParts.filter((part) => text(a[part]) !== text(b[part]))
}

/** Characters of a part that people are shown. */
const longest = 500

function textOf(key: 'old' | 'new', value: unknown): Readonly<Record<string, string>> {
  if (value === undefined) return {}
  const text = escaped(typeof value === 'string' ? value : canonical(value))
  return { [key]: text.length > longest ? `${text.slice(0, longest)}…` : text }
}

/** A drifted tool in a line that people read. */
export function describeDrift({ tool, change, treated, old, new: now, differs = [] }: DriftedTool): string {
  const hashes = [old, now].map((hash) => hash?.slice(0, 'sha256:'.length + 12) ?? 'none').join(' → ')
  const parts = differs.map(({ part }) => part).join(', ')
  return `${tool} ${words[change]}${parts === '' ? '' : ` (${parts})`}, ${hashes}${change === 'gone' ? '' : `: ${fates[treated]}`}`
}

const words = { changed: 'has changed', new: 'was never reviewed', gone: 'is gone' } as const
const fates = {
  listed: 'agents get it as it is',
  held: 'agents are told what was reviewed',
  blocked: 'agents do not get it',
} as const
