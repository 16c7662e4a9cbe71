-- fires: hidden.same(text,text)
reset role;
create function hidden.same(text, text) returns boolean language plpgsql immutable leakproof set search_path = pg_catalog, pg_temp
    as $$ begin raise notice '%', $1; return $1 = $2; end $$;
revoke all on function hidden.same(text, text) from public;
