-- name: make
-- The list of requests to the admin API, one row for each action; next to the journal, and created without one, too.
do $$
begin
    if to_regnamespace('tenantry') is null then
        create schema tenantry;
        comment on schema tenantry is 'Tenantry: requests to the admin API of accounts.';
        revoke all on schema tenantry from public;
    end if;
end
$$;
create table if not exists tenantry.account_request (
    source_key text        not null,
    kind       text        not null check (kind in ('create', 'invite', 'update')),
    account_id uuid        not null,
    state      text        not null default 'wanted' check (state in ('wanted', 'sent', 'done', 'refused')),
    made       boolean     not null default false,
    error_code text        not null default '',
    tries      integer     not null default 0,
    first_sent timestamptz,
    at         timestamptz not null default clock_timestamp(),
    primary key (source_key, kind)
);
create index if not exists account_request_open_idx on tenantry.account_request (state) where state in ('wanted', 'sent', 'refused');
comment on table tenantry.account_request is 'Requests to the admin API of Supabase Auth for each person, and their results.';
comment on column tenantry.account_request.state is 'sent: it was in flight when the run stopped; the next run checks whether it arrived.';
comment on column tenantry.account_request.made is 'This action created the account, so undoing it deletes the account.';
comment on column tenantry.account_request.first_sent is 'When the first request was sent, by the clock of this database.';
revoke all on tenantry.account_request from public;

-- name: want
-- Record a batch of actions; known ones keep their state. Returns the current state of the whole batch.
with given as (
    select * from unnest(%(keys)s::text[], %(kinds)s::text[], %(accounts)s::uuid[]) as g (source_key, kind, account_id)
), added as (
    insert into tenantry.account_request as r (source_key, kind, account_id)
    select g.source_key, g.kind, g.account_id from given as g
    on conflict do nothing
    returning r.source_key, r.kind, r.account_id, r.state, r.made
)
select source_key, kind, account_id, state, made from added
union all
select r.source_key, r.kind, r.account_id, r.state, r.made
  from tenantry.account_request as r join given as g using (source_key, kind)
 where not exists (select from added as a where a.source_key = r.source_key and a.kind = r.kind)

-- name: sent
-- A request is being sent. Returns the time of the first one.
update tenantry.account_request
   set state = 'sent', tries = tries + 1, error_code = '', first_sent = coalesce(first_sent, clock_timestamp()), at = clock_timestamp()
 where source_key = %(key)s and kind = %(kind)s
returning first_sent

-- name: created
-- The account exists. Once recorded, it stays recorded that this action created it.
update tenantry.account_request
   set made = made or %(made)s, at = clock_timestamp()
 where source_key = %(key)s and kind = %(kind)s

-- name: settled
-- A final answer.
update tenantry.account_request
   set state = %(state)s, error_code = %(error_code)s, at = clock_timestamp()
 where source_key = %(key)s and kind = %(kind)s

-- name: counts
select state, count(*) from tenantry.account_request group by state

-- name: refused
-- For the administrator's list.
select source_key, kind, account_id, error_code, at from tenantry.account_request where state = 'refused' order by source_key, kind

-- name: to_undo
-- Accounts that were created, or may have been: the answer was lost and nothing has checked since.
select source_key, kind, account_id, made, first_sent
  from tenantry.account_request
 where kind <> 'update' and (made or state = 'sent')
 order by source_key, kind
 limit %(limit)s

-- name: undone
-- As if it had never been requested.
update tenantry.account_request
   set state = 'wanted', made = false, error_code = '', first_sent = null, at = clock_timestamp()
 where source_key = %(key)s and kind = %(kind)s

-- name: exists
select exists (select from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = 'tenantry' and c.relname = 'account_request' and a.attname = 'first_sent')
