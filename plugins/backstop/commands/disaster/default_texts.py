"""What is said where targets.yaml says nothing: Jinja templates."""

from __future__ import annotations

SUBJECTS = {
    "start": "[{{ incident.target }}] recovery begins: {{ incident.what }}",
    "progress": "[{{ incident.target }}] recovery goes on: {{ incident.what }}",
    "end": "[{{ incident.target }}] "
    "{% if incident.complete %}recovered{% else %}not everything is back{% endif %}: {{ incident.what }}",
}

STAKEHOLDERS = {
    "start": """\
{{ incident.what }} ({{ incident.id }} of {{ incident.target }}, declared at {{ incident.declared_at }}).

What is lost:
{% for one in incident.lost %}
- {{ one.component }}: {{ one.sentence }}
{% else %}
- nothing that could be seen from outside; see what was declared
{% endfor %}

What is being done{% if option.title %}: {{ option.title }}{% endif %}

{% for part in incident.parts %}
- {{ part.component }}{% if part.backup %} from {{ part.backup }} in {{ part.repository }}{% endif %}; \
will be lost: {{ part.loss }}
{% endfor %}

How long: {{ estimate.text }}.
""",
    "progress": """\
{{ incident.what }} ({{ incident.id }} of {{ incident.target }}): \
{{ incident.elapsed }} since it was declared\
{% if incident.waited %}, {{ incident.waited }} of them waiting for people{% endif %}.

{% for part in incident.parts %}
- {{ part.component }}: {{ part.state }}
{% endfor %}
{% for one in incident.failures %}
- failed: {{ one }}
{% endfor %}

How long: {{ estimate.text }}.
""",
    "end": """\
{{ incident.what }} ({{ incident.id }} of {{ incident.target }}): \
{% if incident.complete and incident.asked %}recovered and validated\
{% elif incident.complete %}recovered; nobody has asked it whether it works (no probes are set)\
{% else %}recovery has ended, and not everything is back\
{% endif %}, {{ incident.elapsed }} after it was declared\
{% if incident.waited %}, {{ incident.waited }} of them waiting for people{% endif %}.

{% for part in incident.parts %}
- {{ part.component }}: {{ part.state }}{% if part.state == "back" %}; lost: {{ part.loss }}{% endif %}

{% endfor %}
{% for one in incident.failures %}
- failed: {{ one }}
{% endfor %}
""",
}

TITLES = {
    "start": "Service disruption: we are restoring from a backup",
    "progress": "Service disruption: the restore goes on",
    "end": "{% if incident.complete %}Service restored{% else %}Service not fully restored{% endif %}",
}

PUBLIC = {
    "start": """\
Since {{ incident.declared_at }} there is a disruption. Concerned: {{ incident.components | join(", ") }}. \
We are restoring from a backup.
{% for part in incident.parts %}
{{ part.component | capitalize }}: we expect to lose {{ part.loss }}.
{% endfor %}
How long: {{ estimate.text }}.
""",
    "progress": """\
The disruption of {{ incident.declared_at }} goes on; the restore is under way.
{% for part in incident.parts %}
{{ part.component | capitalize }}: {{ part.state }}.
{% endfor %}
How long: {{ estimate.text }}.
""",
    "end": """\
{% if incident.complete %}
The disruption of {{ incident.declared_at }} is over after {{ incident.elapsed }}.
{% for part in incident.parts if part.state == "back" %}
{{ part.component | capitalize }}: lost: {{ part.loss }}.
{% endfor %}
{% else %}
The restore after the disruption of {{ incident.declared_at }} has ended, and not everything is back. \
We will say here how it goes on.
{% endif %}
""",
}

BODY = '{{ {"state": state, "title": title, "text": text, "until": until} | tojson }}'
