/**
 * Every way in which a script that got into a page may try to reach `$URL` (`$PORT` its port). Each is an expression;
 * a promise says when it has come to an end.
 */
export const fetchVectors: Readonly<Record<string, string>> = {
  fetch: `fetch('$URL/fetch', { mode: 'no-cors' }).catch(() => 0)`,
  'keep-alive fetch': `fetch('$URL/keepalive', { mode: 'no-cors', keepalive: true }).catch(() => 0)`,
  XMLHttpRequest: `new Promise((end) => { const x = new XMLHttpRequest(); x.onloadend = end; x.open('GET', '$URL/xhr'); x.send() })`,
  beacon: `navigator.sendBeacon('$URL/beacon', 'text')`,
  WebSocket: `new Promise((end) => { new WebSocket('ws://127.0.0.1:$PORT/ws').onerror = end })`,
  EventSource: `new Promise((end) => { new EventSource('$URL/events').onerror = end })`,
  image: `new Promise((end) => { const i = new Image(); i.onerror = i.onload = end; i.src = '$URL/image' })`,
  'image set': `new Promise((end) => { const i = new Image(); i.onerror = i.onload = end; i.srcset = '$URL/srcset 1x' })`,
  'svg image': `add('<svg><image href="$URL/svg-image" width="9" height="9"/><use href="$URL/use#x"/></svg>')`,
  'style sheet': `new Promise((end) => { const l = document.createElement('link'); l.rel = 'stylesheet'; l.href = '$URL/sheet'; l.onload = l.onerror = end; document.head.append(l) })`,
  '@import': `add('<style>@import "$URL/import";</style>')`,
  'CSS background': `add('<div style="background:url($URL/background);width:9px;height:9px"></div>')`,
  'web font': `add('<style>@font-face { font-family: x; src: url($URL/font) }</style><p style="font-family:x">text</p>')`,
  script: `new Promise((end) => { const s = document.createElement('script'); s.onload = s.onerror = end; s.src = '$URL/script'; document.head.append(s) })`,
  'dynamic import': `import('$URL/module').catch(() => 0)`,
  worker: `new Promise((end) => { try { const w = new Worker(URL.createObjectURL(new Blob(["importScripts('$URL/worker')"]))); w.onerror = end } catch { end() } })`,
  'service worker': `navigator.serviceWorker?.register('$URL/sw').catch(() => 0)`,
  frame: `add('<iframe src="$URL/frame"></iframe>')`,
  'frame of its own document': `add('<iframe srcdoc="<img src=$URL/srcdoc>"></iframe>')`,
  'object and embed': `add('<object data="$URL/object"></object><embed src="$URL/embed">')`,
  media: `add('<video src="$URL/video" poster="$URL/poster"></video><audio src="$URL/audio"></audio>')`,
  prefetch: `add('<link rel="prefetch" href="$URL/prefetch"><link rel="preload" as="image" href="$URL/preload">')`,
  preconnect: `add('<link rel="preconnect" href="$URL"><link rel="dns-prefetch" href="$URL">')`,
  'speculation rules': `(() => { const s = document.createElement('script'); s.type = 'speculationrules'; s.textContent = '{"prefetch":[{"urls":["$URL/speculation"]}]}'; document.head.append(s) })()`,
  popup: `window.open('$URL/popup')`,
  'link with ping': `(() => { const a = document.createElement('a'); a.href = '#here'; a.ping = '$URL/ping'; document.body.append(a); a.click() })()`,
  download: `(() => { const a = document.createElement('a'); a.href = '$URL/download'; a.download = 'x'; document.body.append(a); a.click() })()`,
  form: `(() => { const f = document.createElement('form'); f.action = '$URL/form'; f.method = 'post'; document.body.append(f); f.submit() })()`,
  WebRTC: `new Promise((end) => { const c = new RTCPeerConnection({ iceServers: [{ urls: 'stun:127.0.0.1:$PORT' }] }); c.createDataChannel('x'); c.onicegatheringstatechange = () => c.iceGatheringState === 'complete' && end(); c.createOffer().then((o) => c.setLocalDescription(o)) })`,
  WebTransport: `(() => { try { return new WebTransport('https://127.0.0.1:$PORT/transport').ready.catch(() => 0) } catch { return 0 } })()`,
  navigation: `void (location.href = '$URL/navigation')`,
  refresh: `add('<meta http-equiv="refresh" content="0;url=$URL/refresh">')`,
}

/** An expression that tries them all, and ends when they have, or after two seconds. */
export function tryAll(names: readonly string[], port: number): string {
  const tries = names.map((name) => `(async () => { try { await (${fetchVectors[name]}) } catch {} })()`)
  const script = `(() => {
    const add = (html) => document.body.insertAdjacentHTML('beforeend', html)
    return Promise.race([Promise.all([${tries.join(',\n')}]).then(() => new Promise((end) => setTimeout(end, 300))), new Promise((end) => setTimeout(end, 2000))])
  })()`
  return script.replaceAll('$URL', `http://127.0.0.1:${port}`).replaceAll('$PORT', String(port))
}
