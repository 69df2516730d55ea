"""Evidence as people read it: one self-contained HTML page a record, and a cover page for a bundle of them.

``report.py`` takes a record and knows which page it gets; ``drill.py``, ``incident.py``, ``proof.py`` and
``cover.py`` say what stands on each, ``timeline.py`` and ``incident_timeline.py`` draw, ``judging.py`` holds
what was measured against what was asked for, ``standards.py`` is what auditors ask for, ``rendering.py``
escapes. Nothing here asks anything but the record, and the same record gives the same bytes.
"""

from backstop.reports.cover import render_cover
from backstop.reports.report import render_report

__all__ = ["render_cover", "render_report"]
