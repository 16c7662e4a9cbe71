-- A table that stays empty. PostgreSQL lets every role give up its own rights, and DROP OWNED BY locks each table whose policies
-- name the role, for everyone and for the rest of the transaction. It fails at a table on which the role holds only a
-- right on a column: this is such a table, on which the right has no effect.

create table if not exists tenantry.latch (closed boolean);
comment on table tenantry.latch is 'Always empty. The clients'' right on it prevents DROP OWNED BY from locking tables with policies.';
alter table tenantry.latch replica identity full;
revoke all on tenantry.latch from public;
