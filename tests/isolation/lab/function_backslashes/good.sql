-- In a comment, and in a name, '\.' is no literal.
create function app.look() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin if new.title !~ E'^\\w+[.]$' then raise exception 'no such title'; end if; return new; end $$;
create trigger look before insert on app.notes for each row execute function app.look();
