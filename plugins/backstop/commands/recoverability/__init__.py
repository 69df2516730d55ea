"""What the inventory tells of the targets, for pages and for ``status``: no repository is asked."""
