-- fires: hidden.read(text)
create function hidden.pgp_sym_decrypt(text, text) returns text language sql immutable set search_path = pg_catalog, pg_temp
    return $1;
create function hidden.read(given text) returns text language sql stable set search_path = pg_catalog, pg_temp
    as $$ select hidden.pgp_sym_decrypt(given, 'a phrase that opens all') $$;
