-- fires: app.comments
drop policy see on app.comments;
create policy see on app.comments for select to authenticated
    using ((select n.author_id from app.notes as n where n.org_id = comments.org_id and n.id = comments.note_id) = (select auth.uid()));
