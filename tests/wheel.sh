#!/usr/bin/env bash
# What somebody meets who installs the wheel and nothing else: its own dependencies, at the versions of the lock, in an
# environment and a folder that are empty. Each command must say what it should, and none may end in a traceback.
#
# Usage: tests/wheel.sh PYTHON, the interpreter that builds the wheel.
set -euo pipefail
python=$1
here=$(cd "$(dirname "$0")/.." && pwd)
[[ $python == /* ]] || python=$here/$python
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
# The service account of an embedded server that root starts must get at it.
chmod 755 "$place"

cp -r "$here"/{pyproject.toml,README.md,LICENSE,src} "$place/" && rm -rf "$place"/src/*.egg-info
(cd "$place" && "$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .)
"$python" -m venv "$place/env"
pip=("$place/env/bin/python" -m pip --quiet --disable-pip-version-check)
"${pip[@]}" install --require-hashes -r "$here/requirements-runtime.lock"
"${pip[@]}" install --no-deps "$place"/dist/*.whl
"${pip[@]}" check

mkdir "$place/empty" && cd "$place/empty"
unset PYTHONPATH TENANTRY_DSN TENANTRY_MANIFEST DATABASE_URL
tenantry=$place/env/bin/tenantry

try() { # expected exit code, text that must be said, command
  local code=0 wanted=$1 text=$2
  shift 2
  "$tenantry" "$@" >"$place/said" 2>&1 || code=$?
  if [[ $code != "$wanted" ]] || ! grep -qF -- "$text" "$place/said" || grep -q Traceback "$place/said"; then
    printf 'tenantry %s: exit code %s, expected %s and "%s". It said:\n' "$*" "$code" "$wanted" "$text"
    cat "$place/said"
    exit 1
  fi
  printf 'installed wheel: tenantry %s: as expected\n' "$*"
}

version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/pyproject.toml")
try 0 "$version" --version
try 0 "Usage:" --help
try 2 "There is no manifest here" analyze
try 0 "Proved:" demo --values 1000
try 0 "TA-" analyze
try 0 "checks in" lint
try 0 "cut over" status
