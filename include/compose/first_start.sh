#!/bin/bash
# docker-entrypoint.sh, for a machine that can die: the image takes a data directory whose first start was interrupted
# for a whole one, and a whole one that is missing for a first start. The script in docker-entrypoint-initdb.d calls
# `first_start.sh done` at its end; until then nothing outside has connected.
set -eu
notes=$(dirname "$PGDATA")
begun=$notes/first-start-begun
finished=$notes/first-start-done

if [ "${1:-}" = done ]; then
    # The server's files first, so that what is noted is on disk.
    sync
    touch "$finished"
    rm -f "$begun"
    sync
    exit 0
fi
if [ -e "$begun" ] && [ ! -e "$finished" ] && [ -e "$PGDATA" ]; then
    aside=$PGDATA.interrupted-$(date +%Y%m%dT%H%M%S)
    mv "$PGDATA" "$aside"
    echo "the first start was interrupted; it begins anew, and what it had made is in $aside" >&2
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    if [ -e "$finished" ]; then
        echo "there was a server in $PGDATA, and it is gone; no empty one is made in its place" >&2
        echo "  next: put the data directory back (a cut-over that was interrupted has it beside), or remove $finished" >&2
        exit 1
    fi
    touch "$begun"
    sync "$notes"
fi
exec docker-entrypoint.sh "$@"
