-- Which rules of PostgreSQL do not apply to this role?
SELECT rolsuper AS is_superuser, rolsuper OR rolbypassrls AS bypasses_row_security
FROM pg_catalog.pg_roles
WHERE rolname = current_user;
