"""Dumps: taking one, bringing one back beside the live database, swapping."""
