#!/bin/sh
# Is this file of sites-available one that nginx takes? A validator of drills (docs/targets.md, `drill.validators`).
#   nginx-site.sh FILE...
# A site is no whole configuration: one is written around it in a folder of its own, which goes with us. Any user
# may run it. nginx -t opens what it would listen on, its logs and its pid file; here all that happens in a network
# and in folders of its own, so that neither a running nginx nor port 80 is touched. Where the kernel refuses them,
# ports below 1024 and logs want root. Names of upstream hosts must be in /etc/hosts.
set -eu
[ $# -gt 0 ] || { echo "no site was named" >&2; exit 2; }
PATH=$PATH:/usr/sbin:/sbin
command -v nginx >/dev/null || { echo "nginx is not on this machine: install it, or take the validator away" >&2; exit 2; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/nginx-site-XXXXXX")
trap 'rm -rf "$folder"' EXIT INT TERM
for site in "$@"; do
    [ -f "$site" ] || { echo "$site is not there" >&2; exit 1; }
done

{
    # Nothing is served, and what is made here need not be given to another user.
    echo "user root;"
    echo "pid \"$folder/nginx.pid\";"
    echo "error_log stderr warn;"
    echo "worker_processes 1;"
    # Debian's modules, as the distribution's own configuration has them.
    [ ! -d /etc/nginx/modules-enabled ] || echo "include /etc/nginx/modules-enabled/*.conf;"
    echo "events { }"
    echo "http {"
    [ ! -r /etc/nginx/mime.types ] || echo "    include /etc/nginx/mime.types;"
    echo "    access_log off;"
    for kind in client_body proxy fastcgi uwsgi scgi; do
        echo "    ${kind}_temp_path \"$folder/$kind\";"
    done
    for site in "$@"; do
        # What is relative would be looked for beside this file.
        echo "    include \"$(realpath -e -- "$site")\";"
    done
    echo "}"
} >"$folder/nginx.conf"

set -- nginx -t -q -e stderr -c "$folder/nginx.conf"
if unshare --user --map-root-user --net --mount true 2>/dev/null; then
    # Logs that the site names are opened too: in a folder that is nobody else's.
    unshare --user --map-root-user --net --mount sh -c \
        'mount -t tmpfs none /var/log && mkdir -p /var/log/nginx && exec "$@"' sh "$@"
else
    "$@"
fi
