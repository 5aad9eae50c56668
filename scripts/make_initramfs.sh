#!/usr/bin/env bash
# Builds build/guest/initrd.gz from busybox-static, scripts/initramfs and the modules of both kernels
# that scripts/fetch_kernels.sh has left. The same inputs give the same bytes: sorted names, fixed
# times and owners.
set -euo pipefail
cd "$(dirname "$0")/.."
output=$PWD/build/guest/initrd.gz
busybox=$(command -v busybox)
mkdir -p build/guest

newer=$(find scripts/initramfs scripts/make_initramfs.sh build/guest/modules-{6.12,6.1} "$busybox" -newer "$output" 2>/dev/null || echo none)
if [ -s "$output" ] && [ -z "$newer" ]; then
  echo "initrd.gz is there"
  exit 0
fi

root=$(mktemp -d build/guest/initramfs.XXXXXX)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,proc,root,sys,tmp}
cp "$busybox" "$root/bin/busybox"
cp scripts/initramfs/* "$root/"
for version in 6.12 6.1; do
  folder=$root/lib/modules/$(cat "build/guest/modules-$version/release")
  mkdir -p "$folder"
  find "build/guest/modules-$version" \( -name '*.ko' -o -name modules.dep \) -exec cp -t "$folder" {} +
done
"$busybox" --list | grep -vx busybox | while read -r applet; do
  ln -sf busybox "$root/bin/$applet"
done
chmod 755 "$root" "$root"/init "$root"/self-check "$root"/bin/busybox
find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . -print0 | LC_ALL=C sort -z |
  cpio --null --create --quiet --format=newc --owner=0:0 --reproducible) | gzip -9 -n > "$output.new"
mv "$output.new" "$output"
echo "initrd.gz: $(stat -c %s "$output") bytes"
