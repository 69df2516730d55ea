"""What the inventory tells of the targets, for pages and for ``status``: no repository is asked.

overview             a row a target
target               one target: standing, windows, backups, findings, series
backup               one backup, everything that is known of it
backups, holds       what these three read
leaving              when backups probably expire
restore_plan         what the restore form shows before anything is started:
plan_point           the whole server to a moment
plan_backup          a database or a tree from a backup
"""
