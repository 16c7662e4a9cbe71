-- The rows that a proof made, by their keys; written in the transaction that made them.
create table if not exists tenantry.proof_fixture (
    position     bigint generated always as identity primary key,
    table_schema text        not null,
    table_name   text        not null,
    key          jsonb       not null,
    made_at      timestamptz not null default clock_timestamp()
);
-- An event trigger may have secured it.
alter table tenantry.proof_fixture disable row level security, no force row level security;
comment on table tenantry.proof_fixture is
    'Invented rows of the proof that is running, or of one that was killed: the next proof removes these.';
revoke all on tenantry.proof_fixture from public;
