"""A real disaster: assess, choose, tell, recover, validate, record.

``engine`` leads through the steps, ``stepping`` keeps them in the journal, ``standing`` says how it stands;
``assess`` looks at what is left and asks ``model/incident_options`` which ways back there are; ``cluster``,
``dump`` and ``tree`` bring one component back each, by the same restores as anybody's; ``infrastructure``
sees to what they are restored to; ``record`` says in the end what it took and what was lost.

``telling`` tells those who wait what ``texts`` makes of a situation (``model/situation``), ``reporting`` does
so every so often while a step goes on, ``status_page`` is one who is told.
"""
