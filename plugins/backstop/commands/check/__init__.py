"""Reading stored bytes again: what is damaged, which backups need it, and where a good copy is."""
