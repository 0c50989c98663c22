#!/usr/bin/env bash
# Installs moto into a virtual environment of Python: `moto.sh FOLDER`. Needs Python 3.10 or newer with venv, and PyPI.
set -euo pipefail
version=5.2.5 folder=$1
[ "$(cat "$folder/kentroller-moto" 2>/dev/null)" != "$version" ] || exit 0
rm -rf "$folder"
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check "moto[server]==$version"
echo "$version" >"$folder/kentroller-moto"
