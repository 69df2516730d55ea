#!/bin/sh
# Runs one program as an unprivileged user in a file system of its own. Started by isolation.py, which has
# already put this shell into new mount, network, PID and IPC namespaces, as process 1 and as their root.
#
#   sandbox.sh WAY UID ROOT [OPERATION ARGUMENT…]… -- PROGRAM [ARGUMENT…]
#
# WAY is "root" (setpriv to UID), "user" (a nested user namespace shows UID) or "none" (no namespaces here).
# Standard input is the life line: when whoever started us closes it, or dies, everything inside dies.
# The line "seal" on it makes the --seal directories read-only; "sealed" on standard output confirms.
# The line "stop" asks the program to end in good order: SIGINT, PostgreSQL's fast shutdown.
# The program's output goes to standard error.
set -eu
way=$1 uid=$2 root=$3
shift 3
# libmount wants to know the root of a file system it has just made; nothing here comes from the caller.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
umask 022

make_mount_point() {
  if [ -d "$1" ]; then mkdir -p "$root$1"; else mkdir -p "$root${1%/*}" && : >"$root$1"; fi
}

furnish() {
  mount -t tmpfs -o mode=0755,nosuid,nodev,size=16m tmpfs "$root"
  mkdir -p "$root/dev/shm" "$root/proc" "$root/tmp" "$root/var/tmp" "$root/etc" "$root/.outside"
  for place in /tmp /var/tmp /dev/shm; do
    mount -t tmpfs -o mode=1777,nosuid,nodev,noexec,size=1g tmpfs "$root$place"
  done
  for device in null zero full random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  echo "root:x:0:0::/:/bin/false
backstop-scratch:x:$uid:$uid::/tmp:/bin/sh" >"$root/etc/passwd"
  echo "root:x:0:
backstop-scratch:x:$uid:" >"$root/etc/group"
}

# A fresh /proc shows only what runs in here, and nothing of the kernel: a worker that is root outside owns
# /proc/sys even in a user namespace. Linux before 5.8 has no such /proc; there its switches become read-only.
mount_proc() {
  if ! mount -t proc -o nosuid,nodev,noexec,subset=pid proc "$root/proc" 2>/dev/null; then
    mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
    for switch in sys sysrq-trigger irq bus fs; do
      [ ! -e "$root/proc/$switch" ] || mount --bind "$root/proc/$switch" "$root/proc/$switch"
      [ ! -e "$root/proc/$switch" ] || mount -o remount,bind,ro,nosuid,nodev,noexec "$root/proc/$switch"
    done
  fi
}

# Then the machine goes out of sight for good: no path leads from here to anything not mounted above.
move_in() {
  # One more user namespace, for the program itself; none inside it.
  [ "$way" != user ] || echo 1 >/proc/sys/user/max_user_namespaces
  mount_proc
  cd "$root"
  pivot_root . .outside
  cd /
  umount -l /.outside
  rmdir /.outside
  mount -o remount,bind,ro,nosuid,nodev /
}

newline="
"
sealed=""
[ "$way" = none ] || furnish
while [ "$1" != -- ]; do
  case $1 in
    --bind) make_mount_point "$2" && mount --rbind "$2" "$root$2" && shift 2 ;;
    --options) mount -o "remount,bind,$3" "$root$2" && shift 3 ;;
    --symlink) mkdir -p "$root${3%/*}" && ln -s "$2" "$root$3" && shift 3 ;;
    --hide)
      if [ -d "$2" ]; then mount -t tmpfs -o mode=0755,nosuid,nodev,noexec,size=4k tmpfs "$root$2"; else mount --bind /dev/null "$root$2"; fi
      shift 2
      ;;
    # Paths of ours hold no newline: isolation.py checks.
    --seal) sealed="$sealed$2$newline" && shift 2 ;;
    *) echo "sandbox.sh: unknown operation $1" >&2 && exit 125 ;;
  esac
done
shift
[ "$way" = none ] || move_in

launch() {
  case $way in
    user)
      exec unshare --user --map-user="$uid" --map-group="$uid" -- setpriv --no-new-privs -- "$@"
      ;;
    root)
      exec setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs \
        --inh-caps=-all --ambient-caps=-all --bounding-set=-all -- "$@"
      ;;
    none)
      if [ "$uid" -eq "$(id -u)" ]; then exec setpriv --no-new-privs -- "$@"; fi
      # An account of the machine brings its own group; a free user id has none.
      exec setpriv --reuid "$uid" --regid "$(id -g "$uid" 2>/dev/null || echo "$uid")" --clear-groups \
        --no-new-privs --inh-caps=-all --ambient-caps=-all --bounding-set=-all -- "$@"
      ;;
  esac
}

exec 3<&0 </dev/null
launch "$@" >&2 3<&- &
program=$!

# Without a PID namespace the program has to be told; SIGQUIT is PostgreSQL's immediate shutdown.
end() {
  trap '' TERM
  if [ "$way" = none ]; then
    kill -QUIT "$program" 2>/dev/null || :
    wait "$program" || :
  fi
  exit 143
}
trap end TERM

main=$$
(
  # $sealed is split at line ends alone, and a * in it is none.
  IFS=$newline
  set -f
  while read -r order; do
    case $order in
      stop) kill -INT "$program" ;;
      seal)
        for directory in $sealed; do
          [ "$way" = none ] || mount -o remount,bind,ro,nosuid,nodev,noexec "$directory"
        done
        echo sealed
        ;;
    esac
  done <&3
  kill -TERM "$main"
) &
reader=$!

status=0
wait "$program" || status=$?
# Not TERM: the shell drops one that arrives while the reader is being forked, and the reader, which holds
# standard output open, would outlive a program that failed at once.
kill -KILL "$reader" 2>/dev/null || :
exit "$status"
