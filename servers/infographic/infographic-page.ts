import { readScript, type StageFiles } from '../kit/stage.ts'

const page = `<!doctype html>
<meta charset="utf-8">
<style>html, body { margin: 0 } svg { display: block }</style>
<body>
<script src="/infographic.js"></script>
<script type="module" src="/draw.js"></script>`

/** The page that draws: the library, and `describeTemplates`, `parseInfographic` and `drawInfographic` as globals. */
export function readInfographicPage(): StageFiles {
  // The package exports its parts only, and not the one file that runs in a page.
  const library = new URL('../dist/infographic.min.js', import.meta.resolve('@antv/infographic'))
  return new Map([
    ['/', { type: 'text/html', body: page }],
    ['/infographic.js', readScript(library.href)],
    ['/draw.js', readScript(import.meta.resolve('./page/draw.js'))],
    ['/svg.js', readScript(import.meta.resolve('../kit/page/svg.js'))],
  ])
}
