"""The Recoverability pages and the metrics, served by Airflow's API server below ``/backstop``.

What they show comes from targets.yaml and the inventory; no repository and no protected server is asked.

    mount, scope, app              what Airflow mounts, and the application behind it
    auth, headers, form_token      who may see it; what browsers must keep to; forms that are ours
    pages, reading, rendering      the pages: addresses, read models, HTML (``templates/``, ``charts/``)
    restore, restore_form          the form that starts a restore; ``starting`` has Airflow start it
    metrics, scrape_tokens         ``/metrics``, and who may scrape it
    inventory, configuration,      what all of them read: kept sessions, a kept targets.yaml,
    credentials                    Airflow's connections
    problems                       what went wrong, as a page
"""
