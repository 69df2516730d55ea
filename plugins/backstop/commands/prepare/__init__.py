"""Making the place where backups go what it should be: shown first, changed on request."""
