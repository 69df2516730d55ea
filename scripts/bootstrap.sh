#!/bin/sh
# Create the virtual environment named by $1 and install everything pinned, checked by hash.
# Wants a Python of at least 3.10 with its venv module; honours $PYTHON.
set -eu
venv=$1

say() { printf '%s\n' "$*" >&2; }

# A name on PATH may be a pyenv shim that only fails when it is run, so run each.
python=
found=
for candidate in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3.10 python3 python3.14 python; do
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    found="$found $candidate ($version)"
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    say "error: Backstop needs Python 3.10 or later; found:${found:- none}"
    say "  next: install one, or name it: make PYTHON=/path/to/python3.12 ..."
    exit 1
fi

if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    say "error: $python ($version) lacks the venv module"
    say "  next: on Debian and Ubuntu: apt-get install python$version-venv"
    exit 1
fi

need_kb=1500000
free_kb=$(df -Pk . | awk 'NR == 2 { print $4 }')
if [ ! -x "$venv/bin/python" ] && [ "$free_kb" -lt "$need_kb" ]; then
    say "error: $(pwd) has $((free_kb / 1000)) MB free; the packages want $((need_kb / 1000))"
    say "  next: free some space, or clone to another disk"
    exit 1
fi

# A half-made environment, or one whose Python is gone or too old, is made again.
if ! "$venv/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    say "creating $venv with $python ($version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi

started=$(date +%s)
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
    -r requirements-bootstrap.txt
say "installing what requirements-dev.txt pins (a few minutes without a cache)"
# uv is several times faster, but reads nothing of pip's configuration: hand on a mirror and a certificate.
pip_setting() { "$venv/bin/python" -m pip config get "global.$1" 2>/dev/null || true; }
certificate=${PIP_CERT:-$(pip_setting cert)}
index=${PIP_INDEX_URL:-$(pip_setting index-url)}
if [ -n "$certificate" ] && [ -z "${SSL_CERT_FILE:-}" ]; then
    export SSL_CERT_FILE="$certificate"
fi
if [ -n "$index" ] && [ -z "${UV_DEFAULT_INDEX:-}" ]; then
    export UV_DEFAULT_INDEX="$index"
fi
if ! "$venv/bin/python" -m uv pip install --quiet --python "$venv/bin/python" --require-hashes \
        -r requirements-dev.txt; then
    say "uv could not install them; trying pip"
    # The lock is complete; some versions of pip stumble over an extra of a pinned package (celery[redis]).
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
        -r requirements-dev.txt
fi

# `python -m backstop` from this environment finds the checkout it lies in, wherever that is moved.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "import sys, pathlib; sys.path.append(str(pathlib.Path(sys.prefix).resolve().parent / 'plugins'))" \
    > "$site/backstop.pth"
say "$venv is ready after $(($(date +%s) - started)) s"
