#!/usr/bin/env bash
# What a person meets who installs from the distributions and nothing else: Tenantry alone, then Clinic beside it, each with
# its own dependencies at the versions of the lock, in an environment and a folder that are empty. Each command must say what
# it should, and none may end in a traceback.
#
# Of both distributions the source archive is built, then the wheel from that archive, so that both are known to be whole.
#
# Usage: tests/wheel.sh PYTHON, the interpreter that builds.
set -euo pipefail
python=$1
here=$(cd "$(dirname "$0")/.." && pwd)
[[ $python == /* ]] || python=$here/$python
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
# The service account of an embedded server that root starts must get at it.
chmod 755 "$place"

build() { # a folder with a pyproject.toml, what else of it belongs to the distribution
  local from=$1 to
  shift
  to=$(mktemp -d -p "$place")
  (cd "$from" && cp -r pyproject.toml "$@" "$to/")
  rm -rf "$to"/src/*.egg-info
  "$python" -m build --no-isolation --outdir "$place/dist" "$to" >"$place/said" 2>&1 || { cat "$place/said"; exit 1; }
}
build "$here" README.md LICENSE src
build "$here/apps/clinic" README.md LICENSE src

"$python" -m venv "$place/env"
pip=("$place/env/bin/python" -m pip --quiet --disable-pip-version-check)
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
  printf '%s: tenantry %s: as expected\n' "$installed" "$*"
}

installed='the wheel of Tenantry alone'
"${pip[@]}" install --require-hashes -r "$here/requirements-runtime.lock"
"${pip[@]}" install --no-deps "$place"/dist/tenantry-[0-9]*.whl
"${pip[@]}" check
if (cd / && "$place/env/bin/python" -c 'import clinic' 2>/dev/null); then
  echo 'Tenantry brings a package clinic along'
  exit 1
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/pyproject.toml")
try 0 "$version" --version
try 0 "Usage:" --help
try 2 "There is no manifest in this folder" analyze
try 2 "pip install 'tenantry[demo]'" demo --values 1000

# From the folder of archives, and from nowhere else: `tenantry[demo]` must lead to the distribution of Clinic.
installed='the wheels of both'
"${pip[@]}" install --require-hashes -r "$here/apps/clinic/requirements.lock"
"${pip[@]}" install --no-index --find-links "$place/dist" 'tenantry[demo]'
"${pip[@]}" check
try 0 "Proved:" demo --values 1000
try 0 "TA-" analyze
try 0 "checks in" lint
try 0 "cut over" status
