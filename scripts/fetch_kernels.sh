#!/usr/bin/env bash
# fetch_kernels.sh [--tests]: downloads and unpacks (does not install) Debian's cloud kernels into
# build/guest: vmlinuz-6.12, vmlinuz-6.1, System.map-* where the package has a real one, and in
# modules-* the modules of the same package that guests load. --tests: also vmlinuz-6.1-generic,
# for the sev-guest driver of 6.1, without which the cloud kernel of that version is built.
# What is already there is kept; delete build/guest/vmlinuz-* to fetch the newest again.
set -euo pipefail
cd "$(dirname "$0")/.."
guest=$PWD/build/guest
mkdir -p "$guest"

# apt with this machine's sources; with own_sources, apt with Debian's mirror and a state of its own:
# an installation without the security archive has no 6.12.
apt_options=()
own_sources() {
  local state=$guest/apt mirror=http://deb.debian.org
  local signed="signed-by=/usr/share/keyrings/debian-archive-keyring.gpg"
  mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
  {
    echo "deb [$signed] $mirror/debian bookworm main"
    echo "deb [$signed] $mirror/debian-security bookworm-security main"
  } > "$state/sources.list"
  apt_options=(-o "Dir::Etc::sourcelist=$state/sources.list" -o Dir::Etc::sourceparts=-
               -o "Dir::State::lists=$state/lists" -o "Dir::Cache=$state/cache"
               -o APT::Sandbox::User=root)
}

# The kernel package that the newest version of a metapackage depends on; nothing if unknown.
kernel_of() {
  { apt-cache "${apt_options[@]}" depends --no-recommends --no-suggests "$1" 2>/dev/null || true; } |
    sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}

# Root need not become _apt for a download into our own folder.
download() {
  [ -n "$2" ] && (cd "$1" &&
    apt-get "${apt_options[@]}" download -q -o APT::Sandbox::User=root "$2")
}

# find_and_download FOLDER METAPACKAGE: sets package. Known lists first, then fresh ones, then
# Debian's own mirror.
find_and_download() {
  local folder=$1 metapackage=$2 attempt
  for attempt in known fresh own; do
    case $attempt in
      fresh) apt-get update -q || continue ;;
      own) own_sources && apt-get "${apt_options[@]}" update -q ;;
    esac
    package=$(kernel_of "$metapackage")
    if download "$folder" "$package"; then
      return
    fi
  done
  echo "fetch_kernels: no source has $metapackage, nor has Debian's mirror" >&2
  return 1
}

# is_complete VERSION MODULES
is_complete() {
  [ -s "$guest/vmlinuz-$1" ] && [ -s "$guest/modules-$1/release" ] &&
    [ "$(cat "$guest/modules-$1/wanted" 2>/dev/null)" = "$2" ]
}

# fetch VERSION METAPACKAGE MODULE...
fetch() {
  local version=$1 metapackage=$2 work
  shift 2
  if is_complete "$version" "$*"; then
    echo "vmlinuz-$version is there ($(cat "$guest/vmlinuz-$version.package" 2>/dev/null || echo '?'))"
    return
  fi
  echo "fetching the kernel of $metapackage"
  work=$(mktemp -d "$guest/fetch.XXXXXX")
  trap 'rm -rf "$work"' RETURN
  find_and_download "$work" "$metapackage"
  dpkg-deb --fsys-tarfile "$work"/*.deb |
    tar -x -C "$work" --wildcards './boot/*' './lib/modules/*/kernel/*.ko*'
  # Debian ships a System.map of one line that points to the debug package.
  for map in "$work"/boot/System.map-*; do
    if [ -s "$map" ] && [ "$(wc -l < "$map")" -gt 100 ]; then
      cp "$map" "$guest/System.map-$version"
    fi
  done
  scripts/kernel_modules.py "$work" "$work/modules" "$@"
  echo "$*" > "$work/modules/wanted"
  # The kernel comes last: without it the fetch begins again, and never are the two of two packages.
  rm -rf "$guest/vmlinuz-$version" "$guest/modules-$version"
  mv "$work/modules" "$guest/modules-$version"
  echo "$package" > "$guest/vmlinuz-$version.package"
  mv "$work"/boot/vmlinuz-* "$guest/vmlinuz-$version"
}

# The driver of /dev/sev-guest (in 6.12 it brings tsm and configfs), and what its AES-256-GCM is made
# of, which it asks for by algorithm and not by name.
fetch 6.12 linux-image-6.12-cloud-amd64 sev-guest gcm ghash-generic
fetch 6.1 linux-image-cloud-amd64
if [ "${1:-}" = --tests ]; then
  fetch 6.1-generic linux-image-amd64 sev-guest gcm ghash-generic ctr
fi
rm -rf "$guest/apt"
