create function app.note_body(note uuid) returns text language sql stable security definer set search_path = pg_catalog, pg_temp
    as $$ select n.body from app.notes as n join app.members as m on m.org_id = n.org_id where n.id = note and m.user_id = auth.uid() $$;
create function app.comment_body(comment uuid) returns text language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
    org uuid;
    said text;
begin
    select c.org_id, c.body into org, said from app.comments as c where c.id = comment;
    if not exists (select from app.members as m where m.org_id = org and m.user_id = auth.uid()) then
        raise exception 'not yours';
    end if;
    return said;
end $$;
revoke all on function app.note_body(uuid), app.comment_body(uuid) from public;
grant execute on function app.note_body(uuid), app.comment_body(uuid) to authenticated;
