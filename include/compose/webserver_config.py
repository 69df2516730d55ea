"""How people sign in to the pages of Airflow's FAB auth manager: with passwords kept in its database.

LDAP and OAuth are set up here too: https://airflow.apache.org/docs/apache-airflow-providers-fab/
"""

from flask_appbuilder.const import AUTH_DB

AUTH_TYPE = AUTH_DB
WTF_CSRF_ENABLED = True
