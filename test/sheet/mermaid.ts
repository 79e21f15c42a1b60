import { openRenderServer } from '../support/render-server.ts'
import { type Exhibit, writeContactSheet } from './contact-sheet.ts'

/** Every type of diagram on one picture, as the server draws its own examples. `node test/sheet/mermaid.ts [file.png]` */

const [path = 'mermaid-sheet.png'] = process.argv.slice(2)

await using server = await openRenderServer('mermaid')
const { text } = await server.client.callTool('list_diagram_types')
const exhibits: Exhibit[] = []
for (const line of text.split('\n')) {
  const name = line.split(':', 1)[0] ?? ''
  const { text: code } = await server.client.callTool('list_diagram_types', { type: name })
  const { images, text: said } = await server.client.callTool('render_diagram', { code })
  const [png] = images
  if (png === undefined) throw new Error(`${name}: ${said}`)
  exhibits.push({ name, png })
}
await writeContactSheet(path, exhibits, { columns: 5, width: 560, height: 420 })
console.log(`${exhibits.length} diagrams: ${path}`)
