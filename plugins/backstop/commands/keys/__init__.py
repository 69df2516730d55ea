"""Which key protects what; new keys, and the end of old ones."""
