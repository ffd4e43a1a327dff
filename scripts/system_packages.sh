#!/usr/bin/env bash
# Libraries that Qt's xcb plugin and OpenGL need, and a screen for machines without one.
# Installs them where it is root on Debian; elsewhere it prints the one line to run.
set -euo pipefail

packages=(xvfb xauth libegl1 libgl1 libgl1-mesa-dri libglib2.0-0 libfontconfig1 libdbus-1-3
  libxkbcommon0 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1
  libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1)

command -v dpkg-query >/dev/null 2>&1 || exit 0 # not Debian: nothing we could name

# a Debian Python cannot make virtual environments without this one
"${PYTHON:-python3}" -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
    dpkg-query -W -f '${Status}' "${package}t64" 2>/dev/null | grep -q 'ok installed' ||
    missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
  echo "Some system libraries are missing. Please run:" >&2
  echo "  sudo apt-get install -y ${missing[*]}" >&2
fi
