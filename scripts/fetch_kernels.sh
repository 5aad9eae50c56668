#!/usr/bin/env bash
# Downloads and unpacks (does not install) Debian's cloud kernels into build/guest:
# vmlinuz-6.12, vmlinuz-6.1, and System.map-* where the package has a real one.
# What is already there is kept; delete build/guest/vmlinuz-* to fetch the newest again.
set -euo pipefail
cd "$(dirname "$0")/.."
guest=$PWD/build/guest
mkdir -p "$guest"

# The kernel package that the newest version of a metapackage depends on.
kernel_of() {
  apt-cache depends --no-recommends --no-suggests "$1" 2>/dev/null |
    sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1
}

updated=no
update_once() {
  [ "$updated" = yes ] && return 1
  updated=yes
  apt-get update -q
}

fetch() {
  local version=$1 metapackage=$2 package work
  if [ -s "$guest/vmlinuz-$version" ]; then
    echo "vmlinuz-$version is there ($(cat "$guest/vmlinuz-$version.package" 2>/dev/null || echo '?'))"
    return
  fi
  package=$(kernel_of "$metapackage")
  if [ -z "$package" ]; then
    update_once && package=$(kernel_of "$metapackage")
  fi
  if [ -z "$package" ]; then
    echo "Debian's archive has no $metapackage" >&2
    return 1
  fi
  echo "fetching $package"
  work=$(mktemp -d "$guest/fetch.XXXXXX")
  trap 'rm -rf "$work"' RETURN
  # Root need not become _apt for a download into our own folder.
  (cd "$work" && apt-get download -q -o APT::Sandbox::User=root "$package") ||
    { update_once && package=$(kernel_of "$metapackage") &&
      (cd "$work" && apt-get download -q -o APT::Sandbox::User=root "$package"); }
  dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -C "$work" --wildcards './boot/*'
  # Debian ships a System.map of one line that points to the debug package.
  for map in "$work"/boot/System.map-*; do
    if [ -s "$map" ] && [ "$(wc -l < "$map")" -gt 100 ]; then
      cp "$map" "$guest/System.map-$version"
    fi
  done
  echo "$package" > "$guest/vmlinuz-$version.package"
  mv "$work"/boot/vmlinuz-* "$guest/vmlinuz-$version"
}

fetch 6.12 linux-image-6.12-cloud-amd64
fetch 6.1 linux-image-cloud-amd64
