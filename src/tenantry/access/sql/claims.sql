-- The caller, from the claims that the application set for this transaction. Claims that are missing, empty or
-- malformed give null, never an error, which would tell an attacker what is wrong.

create or replace function tenantry.claims() returns jsonb
    language plpgsql stable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
declare
    given constant text := nullif(current_setting('request.jwt.claims', true), '');
    blank constant text := '[ \t\n\r]*';
    value constant text := '(?:""|true|false|null|-?(?:0|[1-9][0-9]{0,99})(?:[.][0-9]{1,99})?(?:[eE][+-]?[0-9]{1,3})?)';
    member constant text := '""' || blank || ':' || blank || value || blank;
    element constant text := value || blank;
    rest text;
    reduced text;
begin
    if given is null or length(given) > 16384 then
        return null;
    end if;
    if current_setting('server_version_num')::integer >= 160000 then
        return case when pg_input_is_valid(given, 'jsonb') then given::jsonb end;
    end if;
    -- PostgreSQL 15 can test JSON only by an error, which cannot be caught in a parallel plan. So: replace every string by
    -- "", then every array and object that contains only scalars by null, from the inside to the outside.
    rest := regexp_replace(
        given,
        '"(?:[^"\\\u0001-\u001f]|\\["\\/bfnrt]'
        || '|\\u(?!0000|[dD][89a-fA-F])[0-9a-fA-F]{4}'
        || '|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*"',
        '""', 'g');
    for depth in 1 .. 64 loop
        reduced := regexp_replace(
            rest,
            '\{' || blank || '(?:' || member || '(?:,' || blank || member || ')*)?\}'
            || '|\[' || blank || '(?:' || element || '(?:,' || blank || element || ')*)?\]',
            'null', 'g');
        exit when reduced = rest;
        rest := reduced;
    end loop;
    return case when rest ~ ('^' || blank || value || blank || '$') then given::jsonb end;
end
$$;
comment on function tenantry.claims() is 'The claims of the caller; null if there are none, or if they are no JSON.';
revoke all on function tenantry.claims() from public;

create or replace function tenantry.uid() returns uuid
    language plpgsql stable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
declare
    subject text := nullif(current_setting('request.jwt.claim.sub', true), '');
begin
    if subject is null then
        subject := tenantry.claims() ->> 'sub';
    end if;
    return case when subject ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' then subject::uuid end;
end
$$;
comment on function tenantry.uid() is 'The caller''s account in auth.users, as claimed; null without one.';
revoke all on function tenantry.uid() from public;

create or replace function tenantry.role() returns text
    language plpgsql stable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(nullif(current_setting('request.jwt.claim.role', true), ''), tenantry.claims() ->> 'role');
end
$$;
comment on function tenantry.role() is 'The database role that the caller''s token names; null without one.';
revoke all on function tenantry.role() from public;

create or replace function tenantry.email() returns text
    language plpgsql stable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(nullif(current_setting('request.jwt.claim.email', true), ''), tenantry.claims() ->> 'email');
end
$$;
comment on function tenantry.email() is 'The caller''s e-mail address, as claimed; null without one.';
revoke all on function tenantry.email() from public;
