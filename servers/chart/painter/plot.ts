import { createRequire } from 'node:module'
import { createSheet } from './canvas.ts'
import { type Look, paperOf } from './look.ts'

/** A chart in G2's terms: https://g2.antv.antgroup.com/en/manual/introduction/g-2-concepts */
export type Spec = Readonly<Record<string, unknown>>

interface Library {
  render(spec: Spec, context: Spec, resolve: () => void, reject: (reason: unknown) => void): unknown
  stdlib(): Spec
}

interface Scene {
  readonly ready: Promise<unknown>
  render(): void
  destroy(): void
}

interface Renderer {
  getPlugin(name: string): unknown
  registerPlugin(plugin: unknown): void
  unregisterPlugin(plugin: unknown): void
}

interface Classes {
  readonly Canvas: new (options: Spec) => Scene
  readonly Renderer: new () => Renderer
  readonly Plugin: new () => unknown
  readonly default: new () => unknown
}

// G2's ES modules import folders, which Node does not; and all of them must meet in one copy of @antv/g.
const require = createRequire(import.meta.url)
const { Canvas }: Pick<Classes, 'Canvas'> = require('@antv/g')
const { Renderer }: Pick<Classes, 'Renderer'> = require('@antv/g-canvas')
const { Plugin }: Pick<Classes, 'Plugin'> = require('@antv/g-plugin-rough-canvas-renderer')
const { default: Emitter }: Pick<Classes, 'default'> = require('@antv/event-emitter')
const { render, stdlib }: Library = require('@antv/g2')
const library = stdlib()

/** Draws with G2 a PNG of `ratio` pixels per pixel of the look. */
export async function drawPlot(spec: Spec, look: Look, ratio: number): Promise<Buffer> {
  const { width, height } = look
  const canvas = createSheet(width, height)
  const scene = new Canvas({
    width,
    height,
    devicePixelRatio: ratio,
    background: paperOf(look),
    renderer: createRenderer(look.style.texture === 'rough'),
    canvas,
    offscreenCanvas: createSheet(1, 1),
    requestAnimationFrame: (draw: () => void) => setTimeout(draw, 0),
    cancelAnimationFrame: clearTimeout,
  })
  await scene.ready
  try {
    const context = { canvas: scene, library, emitter: new Emitter(), createCanvas: () => createSheet(300, 150) }
    await new Promise<void>((resolve, reject) => {
      render({ ...spec, width, height, animate: false, theme: themeOf(look) }, context, resolve, reject)
    })
    scene.render()
    return canvas.toBuffer('image/png')
  } finally {
    scene.destroy()
  }
}

function createRenderer(rough: boolean): Renderer {
  const renderer = new Renderer()
  // They need a document.
  renderer.unregisterPlugin(renderer.getPlugin('html-renderer'))
  renderer.unregisterPlugin(renderer.getPlugin('dom-interaction'))
  if (rough) renderer.registerPlugin(createRoughPlugin())
  return renderer
}

/** Draws as if by hand. */
export function createRoughPlugin(): unknown {
  return new Plugin()
}

function themeOf(look: Look): Spec {
  const types = { default: 'light', academy: 'academy', dark: 'dark' } as const
  return { type: types[look.theme], view: { viewFill: paperOf(look) } }
}
