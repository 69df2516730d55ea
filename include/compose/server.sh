#!/bin/sh
# server.sh stop|start: what a cut-over in docker-compose.yaml runs; run_protected.sh obeys.
# From a worker that shares the volume of the protected server. Exits 1 when a minute is not enough.
set -eu
place=/var/lib/postgresql/data
patience=60

wait_until() {
    deadline=$(($(date +%s) + patience))
    until "$@"; do
        [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}
has_ended() { [ ! -e "$place/live/postmaster.pid" ]; }
answers() { pg_isready --quiet --host=protected --username=postgres --dbname=postgres; }

case $1 in
    stop)
        # Told even if no server runs: none may start while the directories are exchanged.
        touch "$place/control/stop"
        wait_until has_ended || { echo "the server has not ended in $patience s" >&2; exit 1; }
        ;;
    start)
        rm -f "$place/control/stop"
        wait_until answers || { echo "the server does not answer after $patience s" >&2; exit 1; }
        ;;
    *)
        echo "usage: server.sh stop|start" >&2
        exit 2
        ;;
esac
