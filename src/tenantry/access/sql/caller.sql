-- The caller, from the sealed claims. Malformed values give null, never an error.

create or replace function tenantry.uid() returns uuid
    language plpgsql stable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
declare
    subject constant text := tenantry.claims() ->> 'sub';
begin
    return case when subject ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' then subject::uuid end;
end
$$;
comment on function tenantry.uid() is 'The caller''s account in auth.users; null without one.';
revoke all on function tenantry.uid() from public;

create or replace function tenantry.role() returns text
    language plpgsql stable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
begin
    return tenantry.claims() ->> 'role';
end
$$;
comment on function tenantry.role() is 'The database role that the caller''s token names; null without one.';
revoke all on function tenantry.role() from public;

create or replace function tenantry.email() returns text
    language plpgsql stable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
begin
    return tenantry.claims() ->> 'email';
end
$$;
comment on function tenantry.email() is 'The caller''s e-mail address; null without one.';
revoke all on function tenantry.email() from public;
