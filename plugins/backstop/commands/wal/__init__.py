"""WAL: receiving, shipping, watching, fetching."""
