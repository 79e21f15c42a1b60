import type { Shelf } from '../kit/resource.ts'
import { type Album, readUri, uriOf, uriTemplate } from './album.ts'
import { listed } from './report.ts'

const mostListed = 100

/** The pictures that are kept, as resources. */
export function createShelf(album: Album): Shelf {
  return {
    name: 'picture',
    title: 'A picture that was drawn',
    description: 'Kept here after the service has removed it',
    template: uriTemplate,
    list: () =>
      album
        .kept()
        .slice(0, mostListed)
        .map((picture) => ({ uri: uriOf(picture), ...listed(picture) })),
    read: async (uri) => {
      const wanted = readUri(uri)
      const picture = wanted && album.of(wanted.task).find(({ number }) => number === wanted.number)
      const bytes = picture && (await album.read(picture))
      return bytes && { mimeType: picture.type ?? 'application/octet-stream', bytes }
    },
  }
}
