-- ON DELETE CASCADE into rows that only a higher role may delete; in the repaired twin a trigger requires that role.
-- attacks: cascade_beyond_the_role

-- name: broken
alter table comment drop constraint comment_note;
alter table comment add constraint comment_note foreign key (org_id, note_id) references note (org_id, id) on delete cascade;

-- name: mended
alter table comment drop constraint comment_note;
alter table comment add constraint comment_note foreign key (org_id, note_id) references note (org_id, id) on delete cascade;
create function only_a_boss() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if not old.org_id = any (tenantry.tenants('boss')) and tenantry.profile_id() is not null then
        raise exception 'only a boss deletes comments' using errcode = 'insufficient_privilege';
    end if;
    return old;
end $$;
create trigger only_a_boss before delete on comment for each row execute function only_a_boss();
