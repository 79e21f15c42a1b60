/** What the kinds of charts share of their looks. */
export interface Look {
  readonly theme: 'default' | 'academy' | 'dark'
  readonly width: number
  readonly height: number
  readonly style: {
    readonly backgroundColor?: string | undefined
    readonly texture?: 'default' | 'rough'
  }
}

const papers = { default: '#ffffff', academy: '#ffffff', dark: '#141414' } as const
const inks = { default: '#333333', academy: '#333333', dark: '#e6e6e6' } as const

const palettes = {
  default: [
    '#1783ff',
    '#00c9c9',
    '#f0884d',
    '#d580ff',
    '#7863ff',
    '#60c42d',
    '#bd8f24',
    '#ff80ca',
    '#2491b3',
    '#17c76f',
  ],
  academy: [
    '#4e79a7',
    '#f28e2c',
    '#e15759',
    '#76b7b2',
    '#59a14f',
    '#edc949',
    '#af7aa1',
    '#ff9da7',
    '#9c755f',
    '#bab0ab',
  ],
  dark: ['#1783ff', '#00c9c9', '#f0884d', '#d580ff', '#7863ff', '#60c42d', '#bd8f24', '#ff80ca', '#2491b3', '#17c76f'],
} as const

export function paperOf({ theme, style }: Pick<Look, 'theme' | 'style'>): string {
  return style.backgroundColor ?? papers[theme]
}

export function inkOf({ theme }: Pick<Look, 'theme'>): string {
  return inks[theme]
}

export function coloursOf({ theme }: Pick<Look, 'theme'>, palette?: readonly string[]): readonly string[] {
  return palette ?? palettes[theme]
}

/** The colour of the n-th thing; they begin again where there are more things. */
export function colourAt(colours: readonly string[], index: number): string {
  return colours[index % colours.length] ?? '#1783ff'
}
