export const picturePath = '/pictures/'

/** Where a kept picture is had, below the address at which this server is reached. */
export function pictureUrl(base: string, name: string): string {
  return `${base}${picturePath}${name}.png`
}
