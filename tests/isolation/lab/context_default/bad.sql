-- fires: app.org
drop policy see on app.notes;
create policy see on app.notes for select to authenticated using (org_id = (select current_setting('app.org', true)::uuid));
reset role;
do $$ begin execute format($q$alter role lab_app in database %I set app.org = '6f3c1d6e-3c5a-4c7e-9b0a-0d4c2f1f7a11'$q$, current_database()); end $$;
