import { readFileSync } from 'node:fs'
import type { StageFile, StageFiles } from '../kit/stage.ts'

const page = `<!doctype html>
<meta charset="utf-8">
<style>html, body { margin: 0 } svg { display: block }</style>
<body>
<script src="/mermaid.js"></script>
<script type="module" src="/draw.js"></script>`

/** The page that draws: mermaid, and `checkDiagram`, `drawDiagram` and `resizeDiagram` as globals. */
export function readDiagramPage(): StageFiles {
  return new Map([
    ['/', { type: 'text/html', body: page }],
    ['/mermaid.js', script(import.meta.resolve('mermaid/dist/mermaid.min.js'))],
    ['/draw.js', script(import.meta.resolve('./page/draw.js'))],
    ['/clean.js', script(import.meta.resolve('./page/clean.js'))],
  ])
}

function script(url: string): StageFile {
  return { type: 'text/javascript', body: readFileSync(new URL(url)) }
}
