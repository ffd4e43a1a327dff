#!/usr/bin/env bash
# Build the wheel, install it in a fresh environment and use it there as a user does.
# Only the package is installed anew: its dependencies are those of the developers' environment.
set -euo pipefail
cd "$(dirname "$0")/.."

purelib='import sysconfig; print(sysconfig.get_path("purelib"))'
developers=$("$VENV/bin/python" -c "$purelib")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$VENV/bin/python" -m pip wheel --quiet --no-deps --wheel-dir "$work" .
"$VENV/bin/python" -m venv "$work/fresh"
bin="$work/fresh/bin"
"$bin/python" -m pip install --quiet --no-deps --no-index "$work"/*.whl
echo "$developers" >"$("$bin/python" -c "$purelib")/dependencies.pth"

export NAPARI_CTCLIP_CACHE="$work/cache" PYTHONPATH=
cp scripts/use_wheel.py "$work"
cd "$work"
"$bin/python" -m npe2 validate napari_ctclip
"$bin/napari-ctclip" --version
"$bin/napari-ctclip-train" --list >/dev/null
"$bin/python" use_wheel.py "$work/fresh"
echo "the wheel works: $(cd "$work" && ls ./*.whl)"
