-- The keys with which applications prove the identity of their callers. Secrets: only the definer of the context functions reads them.

create table if not exists tenantry.seal_key (
    kid           text        primary key check (kid ~ '^[0-9A-Za-z_-]{1,32}$'),
    open_inner    bytea       not null check (length(open_inner) = 64),
    open_outer    bytea       not null check (length(open_outer) = 64),
    context_inner bytea       not null check (length(context_inner) = 64),
    context_outer bytea       not null check (length(context_outer) = 64),
    created_at    timestamptz not null default now(),
    not_after     timestamptz
);
comment on table tenantry.seal_key is 'Keys of the sealed context: the padded blocks of two HMAC-SHA-256 keys (RFC 2104) derived from the secret that the application holds.';
comment on column tenantry.seal_key.open_inner is 'For the application''s token, which tenantry.open() verifies.';
comment on column tenantry.seal_key.context_inner is 'For the seal of one transaction, which only tenantry.open() makes.';
comment on column tenantry.seal_key.not_after is 'From this time on the key opens no context, and contexts that it opened are invalid.';
revoke all on tenantry.seal_key from public;
