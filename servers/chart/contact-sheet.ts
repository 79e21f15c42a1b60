import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadImage } from '@napi-rs/canvas'
import { type ChartType, chartTypes, inputs } from './catalogue.ts'
import { readExample } from './example.ts'
import { createSheet } from './painter/canvas.ts'
import { paintChart } from './painter/paint.ts'

/**
 * Draws the example of every type of chart, and all of them on one labelled sheet, to be looked at.
 * `node contact-sheet.ts <folder>`
 */

const cell = { width: 640, height: 450, label: 30 }
const across = 4

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('usage: node contact-sheet.ts <folder>')
await mkdir(folder, { recursive: true })

const sheet = createSheet(across * cell.width, Math.ceil(chartTypes.length / across) * cell.height)
const context = sheet.getContext('2d')
context.fillStyle = '#d8d8d8'
context.fillRect(0, 0, sheet.width, sheet.height)
for (const [index, type] of chartTypes.entries()) await place(type, index, await draw(type, folder))
await writeFile(join(folder, 'contact-sheet.png'), await sheet.encode('png'))
console.log(`${join(folder, 'contact-sheet.png')}: ${chartTypes.length} types`)
// The drawing library's clock ticks on.
process.exit()

async function draw(type: ChartType, into: string): Promise<Buffer> {
  const png = await paintChart({ type, input: inputs[type].parse(readExample(type)) })
  await writeFile(join(into, `${type}.png`), png)
  return png
}

async function place(type: ChartType, index: number, png: Buffer): Promise<void> {
  const left = (index % across) * cell.width
  const top = Math.floor(index / across) * cell.height
  context.fillStyle = '#333333'
  context.font = 'bold 20px sans-serif'
  context.fillText(type, left + 12, top + 24)
  const image = await loadImage(png)
  const scale = Math.min((cell.width - 12) / image.width, (cell.height - cell.label - 6) / image.height)
  context.drawImage(image, left + 6, top + cell.label, image.width * scale, image.height * scale)
}
