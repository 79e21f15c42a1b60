# The product: controller, proxy, command line. One image, two commands; edge sleeps in it.
# The packages have a stage of their own, which is built beside the other.
FROM node:24-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends git openssh-client ca-certificates \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
  && printf '#!/bin/sh\nexec node /app/controller/cli/main.ts "$@"\n' >/usr/local/bin/gateway \
  && chmod 755 /usr/local/bin/gateway

WORKDIR /app
COPY --from=packages /app ./
COPY manifests manifests
COPY controller controller
COPY proxy proxy
COPY stdio stdio

# Node and what it needs to run in any image, which the engine copies into the volume that stdio servers are started from.
RUN mkdir /opt/stdio && cd /opt/stdio \
  && cp "$(command -v node)" node \
  && ldd node | grep -o '/[^ ]*' | while read -r library; do cp -L "$library" .; done \
  && mv ld-linux*.so.* ld.so \
  && ./ld.so --library-path . ./node --version >whole

# Compiled once, here, so that a proxy is there in a third of the time; each user's is in a folder of its own, and so is
# what was compiled under other flags: a proxy is started here as its host starts it. Both say what they lack and end.
ENV NODE_COMPILE_CACHE=/app/.compile-cache
RUN mkdir "$NODE_COMPILE_CACHE" && chown node "$NODE_COMPILE_CACHE" \
  && proxy="$(node -p "require('./controller/proxy-program.ts').proxyCommand.join(' ')")" \
  && ! setpriv --reuid node --regid node --clear-groups $proxy 2>/dev/null \
  && ! node controller/main.ts 2>/dev/null

# Root, because whoever may use the engine's socket is root on the machine whatever its number here. Edge and proxies do
# not get the socket, and are started as users without rights.
ENV NODE_ENV=production
CMD ["node", "controller/main.ts"]
