"""Base backups: taking one, its lineage, bringing its files back."""
