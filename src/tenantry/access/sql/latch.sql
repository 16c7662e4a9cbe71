-- A table that is never filled. PostgreSQL lets every role give up its own rights, and DROP OWNED BY locks each table whose policies
-- name the role against everybody for the rest of the transaction. It fails where it comes to a table of which the role holds
-- nothing but a right on a column: here is one, on which no right does anything.

create table if not exists tenantry.latch (closed boolean);
comment on table tenantry.latch is 'Always empty. What clients hold of it keeps DROP OWNED BY from locking tables that have policies.';
alter table tenantry.latch replica identity full;
revoke all on tenantry.latch from public;
