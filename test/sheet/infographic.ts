import { openRenderServer } from '../support/render-server.ts'
import { type Exhibit, writeContactSheet } from './contact-sheet.ts'

/**
 * Every template of infographics on one picture, as the server draws its own examples, or those whose names match.
 * `node test/sheet/infographic.ts [file.png] [pattern]`
 */

const [path = 'infographic-sheet.png', pattern = ''] = process.argv.slice(2)

await using server = await openRenderServer('infographic')
const { text } = await server.client.callTool('list_templates', { limit: 300 })
const names = text.split('\n').map((line) => line.split(':', 1)[0] ?? '')
const wanted = names.filter((name) => new RegExp(pattern).test(name)).values()
const exhibits: Exhibit[] = []

const draw = async () => {
  for (const name of wanted) {
    const { text: answer } = await server.client.callTool('get_template', { name })
    const syntax = answer.slice(0, answer.lastIndexOf('\n'))
    const { images, text: said } = await server.client.callTool('render_infographic', { syntax, width: 1_200 })
    const [png] = images
    if (png === undefined) throw new Error(`${name}: ${said}`)
    exhibits.push({ name, png })
  }
}
await Promise.all([draw(), draw(), draw()])
exhibits.sort((a, b) => (a.name < b.name ? -1 : 1))
await writeContactSheet(path, exhibits, { columns: 8, width: 440, height: 330 })
console.log(`${exhibits.length} infographics: ${path}`)
