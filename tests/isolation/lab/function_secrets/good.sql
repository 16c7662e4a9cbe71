-- The key for visitors is public.
create function hidden.tell() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    header constant text := 'apikey: eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJsYWIiLCJyb2xlIjoiYW5vbiIsImV4cCI6MX0.c2lnbmF0dXJlLXRoYXQtaXMtbm9uZQ';
begin
    perform pg_notify('out', header);
    return null;
end $$;
