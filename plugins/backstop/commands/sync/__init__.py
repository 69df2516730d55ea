"""Keeping several repositories of a target in step: what one has and another should have is copied."""
