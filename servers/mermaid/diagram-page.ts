import { readScript, type StageFiles } from '../kit/stage.ts'

const page = `<!doctype html>
<meta charset="utf-8">
<style>html, body { margin: 0 } svg { display: block }</style>
<body>
<script src="/mermaid.js"></script>
<script type="module" src="/draw.js"></script>`

/** The page that draws: mermaid, and `checkDiagram` and `drawDiagram` as globals. */
export function readDiagramPage(): StageFiles {
  return new Map([
    ['/', { type: 'text/html', body: page }],
    ['/mermaid.js', readScript(import.meta.resolve('mermaid/dist/mermaid.min.js'))],
    ['/draw.js', readScript(import.meta.resolve('./page/draw.js'))],
    ['/svg.js', readScript(import.meta.resolve('../kit/page/svg.js'))],
  ])
}
