#!/bin/sh
# restore_command of a recovery that a prefetching worker feeds (commands/wal/prefetch.py):
#
#   restore_wal.sh SPOOL FILE DESTINATION
#
# PostgreSQL takes every exit status up to 125 for "there is no such file": here the WAL ends, promote. So only
# the worker's explicit mark FILE.absent may lead to one. As long as the worker lives, which its file lock
# shows, this waits for the file, however long; when the worker is dead, 255 stops the recovery as it stands.
spool=$1 file=$2 destination=$3
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

deliver() {
  [ -f "$spool/ready/$file" ] || return 1
  # A second name is as good as a copy: the server writes to no segment that it has been given, and the worker
  # only ever removes its own name. Across file systems there are copies alone.
  ln -f "$spool/ready/$file" "$destination" 2>/dev/null && exit 0
  cp "$spool/ready/$file" "$destination" && exit 0
  # Still there, yet not copied: a full disk. Otherwise it has just been removed, and will come again.
  [ ! -f "$spool/ready/$file" ] || exit 255
  return 1
}

while :; do
  # What is asked for may have been consumed and removed before: a server goes back, also when it ends a recovery.
  # Again and again, because the worker may see an older request after this one and remove the file once more.
  : >"$spool/wanted/$file" || exit 255
  deliver
  flock --nonblock --shared "$spool/prefetcher.lock" true 2>/dev/null
  worker=$?
  # Once more, after that: a worker may put the last file there and be done.
  deliver
  [ ! -f "$spool/ready/$file.absent" ] || exit 1
  # 1 is "somebody holds it"; anything else, a missing program too, must never become an endless wait.
  [ "$worker" -eq 1 ] || exit 255
  sleep 0.05
done
