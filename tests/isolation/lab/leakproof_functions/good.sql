create function hidden.same(text, text) returns boolean language plpgsql immutable set search_path = pg_catalog, pg_temp
    as $$ begin raise notice '%', $1; return $1 = $2; end $$;
