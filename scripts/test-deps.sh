#!/bin/sh
# Install what tests marked `system` want and pip cannot bring: the distribution's PostgreSQL, a browser, Prometheus,
# rsync, nginx.
set -eu
packages="postgresql postgresql-contrib chromium prometheus rsync zstd util-linux acl attr nginx-light systemd"

if ! command -v apt-get >/dev/null 2>&1; then
    echo "error: make test-deps knows Debian and Ubuntu only" >&2
    echo "  next: install the likes of these by hand: $packages; or leave it: their tests are skipped by name" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "error: make test-deps installs packages, which takes root" >&2
    echo "  next: sudo make test-deps; or leave it: their tests are skipped by name" >&2
    exit 1
fi

missing=
for package in $packages; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
if [ -z "$missing" ]; then
    echo "nothing to install"
    exit 0
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
case $missing in
*" postgresql"*)
    # Only the server's programs are wanted: no cluster of its own shall be made and take port 5432.
    apt-get install -y -qq --no-install-recommends postgresql-common >/dev/null
    sed -ri 's/^#?(create_main_cluster) .*/\1 = false/' /etc/postgresql-common/createcluster.conf
    ;;
esac
# Only programs and servers of the tests' own are wanted: none shall be started and take port 9090 or 80, neither
# now (the policy) nor at the next boot (the mask).
for service in prometheus nginx; do
    case $missing in
    *" $service"*)
        if [ ! -e /usr/sbin/policy-rc.d ]; then
            trap 'rm -f /usr/sbin/policy-rc.d' EXIT
            printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
            chmod 755 /usr/sbin/policy-rc.d
        fi
        if [ ! -e "/etc/systemd/system/$service.service" ]; then
            mkdir -p /etc/systemd/system
            ln -s /dev/null "/etc/systemd/system/$service.service"
        fi
        ;;
    esac
done
for package in $missing; do
    # One package that this release lacks shall not keep out the others.
    if apt-get install -y -qq --no-install-recommends "$package" >/dev/null; then
        echo "installed $package"
    else
        echo "warning: $package could not be installed; its tests are skipped by name" >&2
    fi
done
