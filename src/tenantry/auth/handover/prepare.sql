-- Schema auth that Tenantry made, prepared for a Supabase Auth server, which goes on with its own migrations.
-- Run it as the owner of schema auth. The server then connects as this owner too, since its migrations alter the tables; its
-- connection string ends with `?search_path=auth`. Repeatable.

create table if not exists auth.schema_migrations (
    version varchar(255) not null primary key
);
comment on table auth.schema_migrations is 'Auth: the migrations of Supabase Auth whose effects are in this schema.';

-- The first migration brings this table, and functions that must stay as they are: so the migration is listed and its table made.
create table if not exists auth.instances (
    id              uuid not null primary key,
    uuid            uuid,
    raw_base_config text,
    created_at      timestamptz,
    updated_at      timestamptz
);
comment on table auth.instances is 'Auth: not used.';

alter table auth.schema_migrations enable row level security;
alter table auth.instances enable row level security;
