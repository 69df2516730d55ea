#!/bin/bash
# Runs the protected PostgreSQL, but for as long as the file control/stop is there: a worker that shares the volume
# stops the server with it while data directories are exchanged (server.sh), and needs no rights over containers.
set -u
control=$(dirname "$PGDATA")/control
# Recovered data directories are made beside the live one, on the same file system.
mkdir -p -m 0700 "$control" "${control%/*}/recovered"

server=
end() {
    # Fast shutdown, as the image's own STOPSIGNAL.
    [ -z "$server" ] || { kill -INT "$server"; wait "$server"; }
    exit 0
}
trap end TERM INT

while :; do
    if [ -e "$control/stop" ]; then
        sleep 0.2
        continue
    fi
    bash /first_start.sh postgres "$@" &
    server=$!
    while kill -0 "$server" 2> /dev/null && [ ! -e "$control/stop" ]; do
        sleep 0.2
    done
    asked=$([ -e "$control/stop" ] && echo yes)
    [ -z "$asked" ] || kill -INT "$server" 2> /dev/null
    wait "$server"
    status=$?
    server=
    # It ended by itself: the engine starts the container again, and says so.
    [ -n "$asked" ] || exit "$status"
done
