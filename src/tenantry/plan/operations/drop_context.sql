-- Takes the mirror of auth.users away; the other functions go with schema tenantry. Triggers may be made on a table of another
-- owner who grants TRIGGER, but not dropped; the function is ours, and its triggers go with it.
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
