#!/bin/sh
# Makes a stand-in for node:24-bookworm-slim on a machine whose engine cannot pull it: Debian from the mirror that this
# machine's apt uses, Node and npm from the registry that its npm uses. Certificates and settings of the machine come
# along, so that `apt-get install` and `npm ci` in unchanged Dockerfiles reach what this machine reaches. Not for production.
# Needs root, debootstrap, npm and a Docker engine; takes one to two minutes, or nothing where the image is there.
set -eu

image=node:24-bookworm-slim
suite=bookworm
here=$(cd "$(dirname "$0")/../.." && pwd)

if docker image inspect "$image" >/dev/null 2>&1; then
  echo "$image is there already"
  exit 0
fi
for program in debootstrap npm docker apt-get; do
  command -v "$program" >/dev/null || { echo "$0: no $program on the PATH" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "$0: debootstrap needs root" >&2; exit 1; }
echo "making a stand-in for $image with debootstrap and npm"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
trap 'exit 1' INT TERM

mirror=$(apt-get indextargets --format '$(RELEASE) $(SITE)' 'Created-By: Packages' | sed -n "s/^$suite //p" | head -n 1)
[ -n "$mirror" ] || { echo "$0: apt on this machine has no source for $suite" >&2; exit 1; }
debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
rm -f "$root.log"

# apt: the machine's sources with their keys, and those of its settings that are about fetching.
rm -f "$root/etc/apt/sources.list"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
  [ -f "$file" ] && cp "$file" "$root$file"
done
cp /usr/share/keyrings/*.gpg "$root/usr/share/keyrings/"
apt-config dump | grep -E '^Acquire::(Check-|http|https|Proxy|Languages|ForceIPv4)' >"$root/etc/apt/apt.conf.d/90machine" || true

# Certificates: the bundle as it stands, and the local ones, from which installing ca-certificates makes it again.
bundle=/etc/ssl/certs/ca-certificates.crt
mkdir -p "$root/etc/ssl/certs" "$root/usr/local/share/ca-certificates"
[ -f "$bundle" ] && cp "$bundle" "$root$bundle"
for file in /usr/local/share/ca-certificates/*.crt; do
  [ -f "$file" ] && cp "$file" "$root$file"
done

# Node and npm, as the official image has them: under /usr/local.
case $(dpkg --print-architecture) in
  amd64) arch=x64 ;;
  arm64) arch=arm64 ;;
  *) echo "$0: no Node package for $(dpkg --print-architecture)" >&2; exit 1 ;;
esac
version=$(cd "$here" && npm pkg get devDependencies.node | tr -d '"')
mkdir -p "$root/tmp/npm" "$root/usr/local/lib/node_modules" "$root/usr/local/etc"
(cd "$root/tmp/npm" && npm init -y >/dev/null && npm install --silent --ignore-scripts "node-linux-$arch@$version" npm@11 >/dev/null)
mv "$root/tmp/npm/node_modules/node-linux-$arch/bin/node" "$root/usr/local/bin/node"
mv "$root/tmp/npm/node_modules/npm" "$root/usr/local/lib/node_modules/npm"
rm -rf "$root/tmp/npm"
ln -s node "$root/usr/local/bin/nodejs"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/usr/local/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/usr/local/bin/npx"
{
  echo "registry=$(npm config get registry)"
  [ -f "$bundle" ] && echo "cafile=$bundle"
  printf 'fund=false\naudit=false\nupdate-notifier=false\n'
} >"$root/usr/local/etc/npmrc"

cat >"$root/usr/local/bin/docker-entrypoint.sh" <<'ENTRY'
#!/bin/sh
# A command that is no program is a script or an option for node.
command -v -- "${1:-}" >/dev/null 2>&1 && case $1 in -*) ;; *) exec "$@" ;; esac
exec node "$@"
ENTRY
chmod 755 "$root/usr/local/bin/docker-entrypoint.sh"

chroot "$root" groupadd --gid 1000 node
chroot "$root" useradd --uid 1000 --gid node --shell /bin/bash --create-home node
chroot "$root" apt-get clean
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/log/apt "$root"/var/cache/debconf/*-old
rm -f "$root/etc/resolv.conf" "$root/etc/hostname"

tar -C "$root" --numeric-owner --one-file-system -c . | docker import \
  --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
  --change "ENV NODE_VERSION=$version" \
  --change "ENV NODE_EXTRA_CA_CERTS=$bundle" \
  --change 'ENTRYPOINT ["docker-entrypoint.sh"]' \
  --change 'CMD ["node"]' \
  --change 'LABEL commons-gateway.stand-in=base' \
  - "$image" >/dev/null
docker run --rm --network none "$image" node -e 'console.log(`made it: node ${process.version}`)'
