import type { Labels } from './engine.ts'

export type Role = 'server' | 'proxy' | 'edge' | 'controller' | 'updater'

/** What we write on the engine's objects; true for their whole life, for labels cannot be changed. */
export interface Marks {
  readonly instance: string
  readonly role?: Role
  readonly server?: string
  readonly spec?: string
  readonly context?: string
  readonly origin?: string
  readonly state?: string
}

/** All our labels begin with it. */
export const prefix = 'commons-gateway.'

export function labelsOf(marks: Marks): Record<string, string> {
  return Object.fromEntries(Object.entries(marks).map(([name, value]) => [prefix + name, value]))
}

export function mark(labels: Labels | null | undefined, name: keyof Marks): string | undefined {
  return labels?.[prefix + name]
}

/** Whether the labels say all that the marks do. */
export function carries(labels: Labels | null | undefined, marks: Marks): boolean {
  return Object.entries(labelsOf(marks)).every(([name, value]) => labels?.[name] === value)
}

/** Sorts before every other network: the engine gives default route and published port to the first one by name. */
export function frontNetwork(instance: string): string {
  return `0-${instance}`
}

export function egressNetwork(instance: string): string {
  return `${instance}-egress`
}

export function serverNetwork(instance: string, server: string): string {
  return `${instance}-${server}`
}

export function volumeName(instance: string, server: string, volume: string): string {
  return `${instance}-${server}-${volume}`
}

export function updaterName(instance: string): string {
  return `${instance}-updater`
}

export function imageTag(instance: string, server: string, context: string): string {
  return `${instance}/${server}:${context.slice(0, 12)}`
}
