#!/bin/sh
# rootfs.sh PREFIX FOLDER: makes FOLDER the root of an image that runs the pipe installed in PREFIX: its programs,
# plugins and pipelines, the libraries that they are linked with, a shell for `shell` steps, and the certificate
# authorities. Nothing else of this machine gets in.
set -eu
prefix=$(cd "$1" && pwd)
root=$2

rm -rf "$root"
mkdir -p "$root/usr/bin" "$root/bin" "$root/etc/ssl/certs" "$root/tmp" "$root/root"
chmod 1777 "$root/tmp"
cp "$prefix/bin/pipe" "$root/usr/bin/"
for part in "$prefix"/libexec/pipe "$prefix"/share/pipe/pipelines "$prefix"/lib*/pipe/plugins "$prefix"/lib/*/pipe/plugins; do
  [ -d "$part" ] || continue
  place=$root/usr/${part#"$prefix"/}
  mkdir -p "$(dirname "$place")"
  cp -R "$part" "$place"
done
cp -L /bin/sh "$root/bin/sh"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

# Each library where the loader of this machine finds it.
find "$root" -type f \( -name pipe -o -name pipe-image -o -name sh -o -name '*.so' \) -exec ldd {} + 2>/dev/null |
  sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*ld-linux[^ ]*\) .*/\1/p' |
  sort -u | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
test -x "$root/usr/libexec/pipe/pipe-image" || { echo "there is no whole pipe in $prefix: cmake --install build/release --prefix $prefix" >&2; exit 1; }
