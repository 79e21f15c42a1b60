import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Starts with the files that take minutes, so that no worker is alone with one in the end. */
export class JourneysFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => Number(isLong(b)) - Number(isLong(a)))
  }
}

function isLong({ moduleId }: TestSpecification): boolean {
  return /journeys|docker/.test(moduleId)
}
