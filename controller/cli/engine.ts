import { readEngine, WrongValue } from '../config/variable.ts'
import { openEngine } from '../docker/docker.ts'
import type { Engine } from '../docker/engine.ts'
import { Fault } from './fault.ts'

/** The engine that DOCKER_HOST names, or the machine's usual one. Throws a Fault. */
export function openEngineHere(): Engine {
  const { DOCKER_HOST: address } = process.env
  try {
    return address ? openEngine(readEngine(address)) : openEngine()
  } catch (cause) {
    if (cause instanceof WrongValue) throw new Fault(`DOCKER_HOST: ${cause.message}`, { cause })
    throw cause
  }
}
