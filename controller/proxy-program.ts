/**
 * How a proxy is started in the product's folder. Young objects get 12 MB, which calls leave as fast as more, not what the machine's
 * size suggests; none is taken for old because others of its place in the code lived long (decisions/015).
 */
export const proxyCommand = [
  'node',
  '--max-semi-space-size=4',
  '--no-allocation-site-pretenuring',
  'proxy/main.ts',
] as const
/** And in this environment: of the arenas that each thread would have, those of V8's compilers keep 5 to 30 MB for nothing. */
export const proxyMemory = { MALLOC_ARENA_MAX: '1' } as const

/**
 * What a host tells a proxy in its environment: GATEWAY_PROXY_NAME (the unit's name), GATEWAY_PROXY_LISTEN (`host:port`),
 * GATEWAY_TABLE_SOCKET (path), GATEWAY_PROXY_STATE (the folder that the proxies share), GATEWAY_URL, LOG_LEVEL.
 */
export type ProxyVariable =
  | 'GATEWAY_PROXY_NAME'
  | 'GATEWAY_PROXY_LISTEN'
  | 'GATEWAY_TABLE_SOCKET'
  | 'GATEWAY_PROXY_STATE'
  | 'GATEWAY_URL'
  | 'LOG_LEVEL'
