"""File systems: reading a tree with everything that belongs to a file, and putting one back safely."""
