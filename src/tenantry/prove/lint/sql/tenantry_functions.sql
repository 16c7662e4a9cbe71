-- title: Clients call only those functions of schema tenantry that are meant for them
-- level: error
-- why: The others delete people, change addresses and write the journal with the rights of the tables' owner, for any caller. Default privileges of the owner (ALTER DEFAULT PRIVILEGES … GRANT EXECUTE) open them silently.
-- fix: tenantry access apply, or: revoke all on function … from …; alter default privileges for role … revoke execute on functions from ….
-- uses: reach
-- needs: tenantry
-- proof: yes
select p.oid::regprocedure::text as object, h.who || ' may execute it' as detail
  from pg_proc as p
 cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as x
  join reach as h on h.grantee = x.grantee
 where p.pronamespace = to_regnamespace('tenantry') and p.prokind in ('f', 'p')
   and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
   and p.proname <> all (array[
       'challenge', 'open', 'claims', 'uid', 'role', 'email', 'is_super', 'profile_id', 'tenants', 'colleagues', 'shared',
       'has_tenant_access', 'check_tenant_access', 'is_tenant_admin',
       'id_of', 'old_id_of', 'to_id', 'note_id_use', 'merged_into'])
 order by 1, 2
