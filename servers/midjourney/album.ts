import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Database } from './database.ts'
import { Picture } from './task.ts'

/** A file that is not whole. */
const part = '.part'
const scheme = 'midjourney://pictures/'

/** The pictures that tasks have made: where the service has them, and the files that are kept of them. */
export class Album {
  readonly #folder: string
  readonly #most: number
  readonly #add
  readonly #update
  readonly #ofTask
  readonly #kept
  readonly #waiting

  /** Keeps files in a folder, which it makes, of at most so many bytes together. */
  constructor({ rows, change }: Database, folder: string, most: number) {
    this.#folder = folder
    this.#most = most
    mkdirSync(folder, { recursive: true })
    for (const name of readdirSync(folder)) if (name.endsWith(part)) rmSync(join(folder, name))
    this.#add = change('INSERT OR IGNORE INTO pictures (task, number, url) VALUES (?, ?, ?)')
    this.#update = change(
      'UPDATE pictures SET keeping = ?, reason = ?, type = ?, bytes = ? WHERE task = ? AND number = ?',
    )
    this.#ofTask = rows(Picture, 'SELECT * FROM pictures WHERE task = ? ORDER BY number')
    this.#waiting = rows(Picture, `SELECT * FROM pictures WHERE keeping = 'waiting'`)
    this.#kept = rows(
      Picture,
      `SELECT pictures.* FROM pictures JOIN tasks ON tasks.id = task WHERE keeping = 'kept'
       ORDER BY tasks.ended DESC, task, number DESC`,
    )
  }

  /** Notes where the service has the pictures of a task, in their order. */
  expect(task: string, urls: readonly string[]): void {
    for (const [index, url] of urls.entries()) this.#add(task, index + 1, url)
  }

  of(task: string): readonly Picture[] {
    return this.#ofTask(task)
  }

  /** Those that are still to be fetched. */
  waiting(): readonly Picture[] {
    return this.#waiting()
  }

  /** As they were fetched, newest first. */
  kept(): readonly Picture[] {
    return this.#kept()
  }

  /** Why a picture could not be fetched; with `lost` it never will be. */
  miss(picture: Picture, reason: string, keeping: 'waiting' | 'lost'): void {
    this.#write({ ...picture, keeping, reason })
  }

  /** Keeps a picture, and drops the oldest ones where there are too many bytes. */
  async keep(picture: Picture, type: string, bytes: Buffer): Promise<void> {
    const kept = { ...picture, keeping: 'kept', reason: '', type, bytes: bytes.length } as const
    const file = this.#file(kept)
    await writeFile(`${file}${part}`, bytes)
    await rename(`${file}${part}`, file)
    this.#write(kept)
    await this.#makeRoom()
  }

  /** The bytes of a kept picture; undefined where its file is gone. */
  async read(picture: Picture): Promise<Buffer | undefined> {
    if (picture.keeping !== 'kept') return undefined
    return await readFile(this.#file(picture)).catch(() => undefined)
  }

  /** The newest stays, however large it is. */
  async #makeRoom(): Promise<void> {
    const [newest, ...older] = this.kept()
    let room = this.#most - (newest?.bytes ?? 0)
    for (const picture of older) {
      room -= picture.bytes ?? 0
      if (room >= 0) continue
      await rm(this.#file(picture), { force: true })
      this.#write({ ...picture, keeping: 'dropped', reason: 'it made room for newer ones' })
    }
  }

  #write({ keeping, reason, type, bytes, task, number }: Picture): void {
    this.#update(keeping, reason, type, bytes, task, number)
  }

  #file({ task, number, type }: Picture): string {
    return join(this.#folder, `${task}-${number}.${type?.split('/')[1]}`)
  }
}

/** What a picture is called as a resource. */
export function uriOf({ task, number }: Pick<Picture, 'task' | 'number'>): string {
  return `${scheme}${task}/${number}`
}

export const uriTemplate = `${scheme}{task_id}/{number}`

/** Task and number of a picture's URI. */
export function readUri(uri: string): { readonly task: string; readonly number: number } | undefined {
  const [, task, number] = /^([A-Za-z0-9_-]{1,64})\/(\d{1,3})$/.exec(uri.slice(scheme.length)) ?? []
  return uri.startsWith(scheme) && task !== undefined ? { task, number: Number(number) } : undefined
}
