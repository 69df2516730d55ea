"""Proving a backup by restoring it."""
