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

const infographic =
  'infographic list-row-horizontal-icon-arrow\ndata\n  title 你好\n  items\n    - label Spring\n    - label Autumn\n'

const shares = [
  { category: '你好', value: '3' },
  { category: 'b', value: 2 },
]

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
  chart: {
    port: 3011,
    calls: [
      ['generate_pie_chart', { title: 'Shares', data: shares }, /^\[image\]/],
      ['generate_mind_map', { data: { name: 'a', children: [{ name: 'b' }] } }, /^\[image\]/],
      ['generate_pin_map', { title: 'Where', data: ['Berlin'] }, /^\[image\]/],
    ],
    refused: ['generate_district_map', { title: 'Where', data: { name: 'Berlin' } }, /generate_pin_map/],
  },
  infographic: {
    port: 3012,
    calls: [
      ['list_templates', { query: 'list-row-horizontal-icon-arrow', limit: '1' }, /^list-row-horizontal-icon-arrow/],
      ['get_template', { name: 'list-row-horizontal-icon-arrow' }, /^infographic list-row-horizontal-icon-arrow\n/],
      ['render_infographic', exampleIn, /\[image\]/],
      ['validate_infographic', { syntax: infographic }, /^valid list-row-horizontal-icon-arrow/],
      ['render_infographic', { syntax: infographic, format: 'svg' }, /^<svg[\s\S]*你好/],
    ],
    refused: ['validate_infographic', { syntax: 'infographic no-such-template' }, /no-such-template/],
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

/** The syntax that an answer shows, before the line about it. */
function exampleIn(shown: string): Args {
  return { syntax: shown.slice(0, shown.lastIndexOf('\n')) }
}

function taskIn(answer: string): Args {
  return { task_id: /mj_task_\d+/.exec(answer)?.[0], wait_seconds: '20' }
}
