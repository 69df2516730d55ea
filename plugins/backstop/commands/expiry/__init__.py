"""Expiry: what retention lets go of one repository is removed, in an order that a crash cannot harm."""
