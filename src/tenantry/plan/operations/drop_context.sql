-- Takes the mirror of auth.users away; the functions themselves go with schema tenantry.
do $$
declare
    mirror record;
begin
    for mirror in
        select t.tgname, t.tgrelid::regclass as relation
          from pg_trigger t join pg_proc p on p.oid = t.tgfoid join pg_namespace n on n.oid = p.pronamespace
         where n.nspname = 'tenantry' and not t.tgisinternal
    loop
        execute format('drop trigger %I on %s', mirror.tgname, mirror.relation);
    end loop;
end
$$;
