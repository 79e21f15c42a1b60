import type { Content } from '../folder/content.ts'
import type { Row, Unusable } from '../record.ts'
import type { Units } from '../settings.ts'
import type { Table } from '../text/csv.ts'
import type { Zone } from '../zone.ts'

/** What a file is recognised by: how it begins. */
export interface Head {
  /** Relative to the folder. Looked at only where two exports have the same columns. */
  readonly path: string
  readonly bytes: Buffer
  /** Empty for what is no text. May be cut anywhere. */
  readonly text: string
  /** Undefined for what is no table. */
  readonly table: Table | undefined
}

export interface Reading {
  readonly head: Head
  readonly content: Content
  /** What a time without a zone means. */
  readonly zone: Zone
  readonly units: Units
}

/** A kind of export. */
export interface Format {
  /** As people call it; also which service a row is from. */
  readonly name: string
  readonly holds: (head: Head) => boolean
  /** @throws Unreadable for a file that is broken as a whole. */
  readonly read: (reading: Reading) => AsyncIterable<Row | Unusable>
}
