import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openDockerHost, openEngine } from '../../controller/docker.ts'
import { serverContainer } from '../../controller/docker-container.ts'
import { createDockerHost } from '../../controller/docker-host.ts'
import { carries, labelsOf } from '../../controller/docker-labels.ts'
import { BuildFailed, generationName, HostDown } from '../../controller/host.ts'
import { buildInputOf } from '../support/build-input.ts'
import { type DockerFixture, openDockerFixture } from '../support/docker-fixture.ts'
import { fetchIn, runIn, testInstance } from '../support/engine.ts'
import { baseImage, suite } from '../support/machine.ts'
import { clear, find, generationOf, requestOf, specOf } from '../support/stage.ts'
import { openTemporaryFolder } from '../support/temporary-folder.ts'
import { witness } from '../support/witness.ts'

vi.setConfig({ testTimeout: 60_000 })

const signal = new AbortController().signal
const patient = { timeout: 20_000, interval: 50 }
