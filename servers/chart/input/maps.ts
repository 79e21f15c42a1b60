import { z } from 'zod'
import { label, list, mapSize, number, record } from './fields.ts'

const degrees = (limit: number) =>
  number.refine((value) => Math.abs(value) <= limit, `give -${limit} to ${limit} degrees`)

const position = z.object({ name: label, longitude: degrees(180), latitude: degrees(90) })

export const place = z
  .union([label, position], 'give the name of a place, or name, longitude and latitude')
  .describe('A country or large city, "Name@latitude,longitude", or an object')

export type Place = z.output<typeof place>

export const pinMap = z.object({
  title: label,
  data: list(place),
  markerPopup: z.unknown().optional().describe('Without effect: no photos here'),
  ...mapSize,
})

export const pathMap = z.object({ title: label, data: list(record({ data: list(place) })), ...mapSize })
