"""A disaster rehearsed: planned, restored elsewhere, checked, measured, taken down, recorded.

``plan``: what is lost, when, and what comes back from where · ``restore``: one component, elsewhere ·
``serving``: the restored server, while somebody asks it · ``folder``: where all of it lies, and how it goes
away again · ``drill``: the steps, one by one or in one go.
"""
