import { around5etools, aroundMidjourney, aroundOutline, aroundPersonal, type Surround } from './surroundings.ts'

export type Args = Readonly<Record<string, unknown>>

/** A tool, what it is given, which may depend on the answer before, and what is in its answer: a picture is `[image]` there. */
export type Call = readonly [tool: string, args: Args | ((before: string) => Args), answer: RegExp]

/** A server of `servers/`, and how one sees that it does its work. */
export interface Served {
  /** Where it listens, which older set-ups rely on. */
  readonly port: number
  /** Asked in this order, by each client. */
  readonly calls: readonly [Call, ...Call[]]
  /** What it cannot do, and what it says then. */
  readonly refused: Call
  /** Makes what it needs around it. */
  readonly surround?: Surround
}

export const served: Readonly<Record<string, Served>> = {
  '5etools': {
    port: 3001,
    calls: [
      ['search', { query: 'lantern moth', limit: '3' }, /Lantern Moth/],
      ['get_entry', { kind: 'spell', name: 'lantern moth' }, /level 1 illusion[\s\S]*moth of light[\s\S]*JRN, page 7/],
      ['list_sources', {}, /JRN/],
    ],
    refused: ['get_entry', { kind: 'spell', name: 'fireball' }, /no spell "fireball"/],
    surround: around5etools,
  },
  mermaid: {
    port: 3010,
    calls: [
      ['list_diagram_types', {}, /^gantt: /m],
      ['render_diagram', { code: 'flowchart LR\n  a --> b', scale: '2' }, /^\[image\]\nflowchart \d+×\d+/],
      ['render_diagram', { code: 'pie\n  "你好" : 3', format: 'svg' }, /^<svg[\s\S]*你好/],
      ['validate_diagram', { code: 'sequenceDiagram\n  A->>B: hi' }, /^valid sequence$/],
    ],
    refused: ['render_diagram', { code: 'flowchart LR\n  a -->' }, /Parse error on line \d/],
  },
  midjourney: {
    port: 3002,
    calls: [
      ['list_images', {}, /./],
      ['generate_image', { prompt: 'a lighthouse in fog', aspect_ratio: '16:9' }, /mj_task_\d/],
      ['get_image', taskIn, /is done[\s\S]*1\. http/],
      ['get_image', (before) => ({ ...taskIn(before), picture: '3' }), /\[image\]/],
    ],
    refused: ['get_image', { task_id: 'mj_task_99' }, /mj_task_99/],
    surround: aroundMidjourney,
  },
  outline: {
    port: 3000,
    calls: [
      ['list_collections', {}, /Engineering/],
      ['search_documents', { query: 'systemd', limit: '5' }, /1–1 of 1[\s\S]*Runbook/],
      ['read_document', (found) => ({ id: /urlId (\S+),/.exec(found)?.[1] }), /# Runbook[\s\S]*It uses systemd\./],
      ['create_document', { title: 'Notes', text: 'of a test', publish: 'false' }, /^Created "Notes"/],
    ],
    refused: ['read_document', { id: '550e8400-e29b-41d4-a716-446655440000' }, /no (such )?document/i],
    surround: aroundOutline,
  },
  personal: {
    port: 3003,
    calls: [
      ['data_sources', {}, /sports\/strava\.csv/],
      ['music_top', { kind: 'artist', limit: '1' }, /The Testers/],
      ['fitness_activities', { min_distance_km: '12' }, /12\.50/],
      ['films_search', { query: 'HERE,' }, /Here, There/],
      ['games_library', { sort: 'name' }, /Long Game/],
      ['weight_series', { group_by: 'month' }, /2025-03/],
    ],
    refused: ['music_search', { query: 'polka' }, /"polka"/],
    surround: aroundPersonal,
  },
}

function taskIn(answer: string): Args {
  return { task_id: /mj_task_\d+/.exec(answer)?.[0], wait_seconds: '20' }
}
