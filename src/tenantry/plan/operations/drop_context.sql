-- Removes the mirror of auth.users; the other functions are dropped with schema tenantry. The TRIGGER privilege allows us to
-- create triggers on another owner's table but not to drop them. We own the function, so dropping it drops its triggers.
do $$
declare
    mirror oid;
begin
    for mirror in
        select distinct t.tgfoid
          from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace
         where n.nspname = 'tenantry' and not t.tgisinternal
    loop
        execute format('drop function %s cascade', mirror::regprocedure);
    end loop;
end
$$;
