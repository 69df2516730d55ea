"""File trees: backing one up, bringing files back, what changed."""
