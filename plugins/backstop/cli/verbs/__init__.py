"""One module a group of verbs; each is imported only when its verb is used."""
