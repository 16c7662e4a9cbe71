create table if not exists tenantry.run_lock (
    key   bigint      primary key,
    pid   integer     not null,
    holds boolean     not null,
    at    timestamptz not null default clock_timestamp()
);
alter table tenantry.run_lock add column if not exists login oid, add column if not exists started timestamptz;
create unique index if not exists run_lock_one_holds on tenantry.run_lock (holds) where holds;
comment on table tenantry.run_lock is 'Which process works on the run and which ones wait: the server process, and the advisory lock that shows whether its session is alive. The key is random, because clients could take a lock with a known key.';
