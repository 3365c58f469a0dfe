#!/bin/bash
# Install packages into an environment: install.sh FOLDER ARGUMENTS..., the arguments as `pip install` takes them.
#
# uv does it in a fifth of the time. Where it cannot, say because an index is set up for pip alone, pip does it.
set -eu -o pipefail

folder=$1
shift
pip=("$folder/bin/python" -m pip install --disable-pip-version-check --no-input -qq)

if "${pip[@]}" --no-compile uv && "$folder/bin/uv" pip install -q --python "$folder/bin/python" "$@"; then
    exit 0
fi
echo "uv could not install it: pip goes on" >&2
"${pip[@]}" --upgrade 'pip>=25.1'  # Older ones know no dependency groups.
"${pip[@]}" --no-compile "$@"
