"""Evidence: records of proofs, drills and incidents, chained in every repository, verified and handed out.

``record`` puts one where it belongs; ``book`` is how proofs find their way there by themselves; ``verify``
judges chains by what lies there and what others remember of them; ``catch_up`` adds proofs that are missing;
``export`` makes the bundle that an auditor gets.
"""
