"""A real disaster: assess, choose, tell, recover, validate, record.

``engine`` leads through the steps and keeps the journal; ``assess`` looks at what is left and asks
``model/incident_options`` which ways back there are; ``cluster``, ``dump`` and ``tree`` bring one component
back each, by the same restores as anybody's; ``record`` says in the end what it took and what was lost.
"""
