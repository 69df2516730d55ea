#!/bin/sh
# Are these unit files in order? A validator of drills (docs/targets.md, `drill.validators`).
#   systemd-units.sh [--programs-elsewhere] FILE...
# A warning counts as a fault. With --programs-elsewhere it is none that a unit's program is not on this machine:
# the drill's worker is another host than the one that runs it.
set -u
elsewhere=
[ "${1-}" = --programs-elsewhere ] && { elsewhere=1; shift; }
[ $# -gt 0 ] || { echo "no unit file was named" >&2; exit 2; }
command -v systemd-analyze >/dev/null || { echo "systemd-analyze is not on this machine: install systemd" >&2; exit 2; }

said=$(systemd-analyze verify --man=no --recursive-errors=no "$@" 2>&1)
status=$?
[ -z "$said" ] || printf '%s\n' "$said"
[ -n "$elsewhere" ] || exit "$status"
rest=$(printf '%s\n' "$said" | grep -v 'is not executable: No such file or directory$')
# What is left of the complaints decides; without any, a status of its own would be the programs'.
[ -z "$rest" ]
