import { writeFile } from 'node:fs/promises'
import { chromium } from 'playwright-core'
import { findChromium } from '../../servers/kit/chromium.ts'

export interface Exhibit {
  readonly name: string
  readonly png: Buffer
}

/** The layout: so many pictures a row, each in a box of these CSS pixels. */
export interface Layout {
  readonly columns: number
  readonly width: number
  readonly height: number
}

/** Writes one PNG that shows all pictures with their names. */
export async function writeContactSheet(path: string, exhibits: readonly Exhibit[], layout: Layout): Promise<void> {
  const { path: executablePath, unsandboxed } = findChromium(process.env)
  const browser = await chromium.launch({ executablePath, chromiumSandbox: unsandboxed === undefined })
  try {
    const page = await browser.newPage({ viewport: { width: layout.columns * (layout.width + 24), height: 100 } })
    await page.setContent(pageOf(exhibits, layout), { timeout: 120_000 })
    await writeFile(path, await page.screenshot({ fullPage: true, timeout: 120_000 }))
  } finally {
    await browser.close()
  }
}

function pageOf(exhibits: readonly Exhibit[], { columns, width, height }: Layout): string {
  const figures = exhibits.map(({ name, png }) => {
    const picture = `<img src="data:image/png;base64,${png.toString('base64')}">`
    return `<figure><div>${picture}</div><figcaption>${name}</figcaption></figure>`
  })
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 0; display: grid; grid-template-columns: repeat(${columns}, 1fr); font: 13px sans-serif }
    figure { margin: 6px; padding: 6px; border: 1px solid #ccc; overflow: hidden }
    figure div { width: ${width}px; height: ${height}px; display: flex; align-items: center; justify-content: center }
    img { max-width: 100%; max-height: 100% }
  </style>${figures.join('')}`
}
