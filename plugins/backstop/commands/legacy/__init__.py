"""Backups that scripts made before Backstop: listed, checked, restored, proven and retired."""
