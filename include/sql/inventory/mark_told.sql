-- Who has been told of a finding? What a watch writes meanwhile stays.
UPDATE public.backup_finding
SET told = %(told)s, announced_at = %(announced_at)s, announced_level = %(announced_level)s,
    announcements = %(announcements)s
WHERE id = %(id)s;
