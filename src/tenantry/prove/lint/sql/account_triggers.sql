-- title: The triggers that synchronize accounts exist on auth.users and fire
-- level: error
-- why: Policies read what these triggers write, never auth.users itself. Without them people who are deleted, banned or no longer super admins keep their access, and people who change their address keep invitations that were sent to the old one.
-- fix: tenantry access diff shows them, tenantry access apply creates and enables them again. By hand: alter table … enable always trigger …, as its owner.
-- needs: tenantry
-- proof: yes
with wanted as (
    -- Expected once the script of the context functions has run.
    select 'auth.users' as place, m.name, m.function, m.events, true as always_all, m.loss
      from (values ('tenantry_mirror_account', 'mirror_account', 29, 'bans, deletions and the flag of super admins are not noticed'),
                   ('tenantry_mirror_accounts', 'mirror_account', 32, 'accounts that a TRUNCATE removes go on')) as m (name, function, events, loss)
     where to_regclass('tenantry.account') is not null
     union all
    -- Expected between cutover and rollback: only then may the service call these functions.
    select m.place, m.name, m.function, m.events, false, m.loss
      from (values ('auth.users', 'tenantry_in_step', 'account_in_step', 5, 'who signs up gets no profile'),
                   ('auth.users', 'tenantry_in_step_changed', 'account_in_step', 17, 'who is deleted or changes their address keeps profile and memberships'),
                   ('auth.users', 'tenantry_in_step_gone', 'account_gone', 11, 'who is deleted keeps their memberships'),
                   ('', 'tenantry_in_step', 'profile_email_in_step', 17, 'an address that a person changes does not reach their account'),
                   ('', 'tenantry_in_step', 'membership_in_step', 19, 'it is not noted when a membership ended')) as m (place, name, function, events, loss)
     where exists (select from pg_proc as p cross join lateral aclexplode(p.proacl) as g
                    where p.pronamespace = to_regnamespace('tenantry') and p.proname = 'retry_auth_events' and g.grantee <> p.proowner)
       -- The last one exists only if invitations and memberships need it.
       and (m.function <> 'membership_in_step' or exists (
            select from pg_proc as p where p.pronamespace = to_regnamespace('tenantry') and p.proname = m.function))
), ours as (
    select t.tgname, t.tgrelid, t.tgenabled, t.tgtype, t.tgqual is null and t.tgattr = '' as whole, p.proname
      from pg_trigger as t
      join pg_proc as p on p.oid = t.tgfoid
     where not t.tgisinternal and p.pronamespace = to_regnamespace('tenantry')
)
select case when w.place <> '' then w.place else coalesce(t.tgrelid::regclass::text, 'tenantry.' || w.function || '()') end as object,
       'trigger ' || w.name || case when t.tgenabled = 'D' then ' is disabled' when t.tgenabled = 'R' then ' fires in replicas only'
           when t.tgenabled is not null or exists (
                select from pg_trigger as o where o.tgrelid = to_regclass(nullif(w.place, '')) and o.tgname = w.name) then ' was replaced'
           else ' is missing' end || ': ' || w.loss as detail
  from wanted as w
  left join lateral (
       select o.tgrelid, o.tgenabled from ours as o
        where o.proname = w.function and o.tgname = w.name and (w.place = '' or o.tgrelid = to_regclass(w.place))
        order by o.tgenabled limit 1) as t on true
 where to_regclass('auth.users') is not null
   and not exists (
       select from ours as o
        where o.proname = w.function and o.tgenabled in ('O', 'A') and (o.tgtype & w.events) = w.events and (o.whole or not w.always_all)
          and (w.place = '' or o.tgrelid = to_regclass(w.place)))
 order by 1, 2
