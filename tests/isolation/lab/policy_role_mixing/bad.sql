-- fires: app.notes
drop policy remove on app.notes;
create policy remove on app.notes for delete to authenticated
    using (org_id = any ((select hidden.orgs('guest'))::uuid[])
           and (select exists (select from app.members as m where m.user_id = auth.uid() and m.role = 'boss')));
