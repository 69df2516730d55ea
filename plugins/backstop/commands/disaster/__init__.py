"""A real disaster: assess, choose, tell, recover, validate, record."""
