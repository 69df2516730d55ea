"""What takes space in a repository and belongs to no backup: found, explained, on request removed."""
