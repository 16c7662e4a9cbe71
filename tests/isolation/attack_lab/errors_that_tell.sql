-- A trigger with rights of its owner whose error names the row of another tenant.
-- attacks: errors_quote_values

-- name: broken
create function one_title() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare other app.note;
begin
    select * into other from app.note where title = new.title and org_id <> new.org_id;
    if found then raise exception 'the title is taken by note % of %', other.id, other.org_id; end if;
    return new;
end $$;
create trigger one_title before update on note for each row execute function one_title();

-- name: mended
create function one_title() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if exists (select from app.note where title = new.title and id <> new.id and org_id = new.org_id) then
        raise exception 'the title is taken';
    end if;
    return new;
end $$;
create trigger one_title before update on note for each row execute function one_title();
