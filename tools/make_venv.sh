#!/bin/bash
# Create a virtual environment: make_venv.sh PYTHON FOLDER. One that stands already is kept.
set -eu -o pipefail

python=$1
folder=$2

if ! command -v "$python" >/dev/null; then
    echo "error: there is no \`$python\` on PATH" >&2
    echo "hint: name a Python 3.11 or newer: make PYTHON=/path/to/python3.12 ..." >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: Noria needs Python 3.11 or newer, and \`$python\` is $("$python" -V 2>&1)" >&2
    echo "hint: name a newer one: make PYTHON=python3.12 ..." >&2
    exit 1
fi
if ! "$folder/bin/python" -c '' 2>/dev/null; then
    echo "Building $folder with $("$python" -V)"
    "$python" -m venv --clear "$folder"
fi
