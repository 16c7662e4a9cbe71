-- The caller, from claims that the application sealed. SQL that runs as the caller can set any setting, but cannot make a seal:
-- open() requires a token that only the application can compute, for this session and this transaction. The seal that it sets
-- is valid for this transaction only, since it covers the time at which the transaction began.
--
-- The claims are valid under the role that they name, until they expire: claims() checks both on each call.
--
-- No query may be planned over a column of the key, except the one that reads it: plans can be printed. Functions
-- compute what they need of the key into a variable first.
-- claims(), which every statement calls, prints no plan; open() switches printing off for its transaction before it makes the seal.
--
-- Codes are compared by their hashes: the time until a difference is found then reveals nothing about the right code. No text in
-- this file has a backslash, whose meaning a caller could change with standard_conforming_strings.

create or replace function tenantry.challenge() returns text
    language sql stable parallel restricted
    set search_path = pg_catalog, pg_temp
as $$
    select pg_backend_pid() || '.' || extract(epoch from transaction_timestamp())::text
$$;
comment on function tenantry.challenge() is
    'What names this transaction of this session. The application seals it together with the claims, so that a token opens nothing else.';
revoke all on function tenantry.challenge() from public;

create or replace function tenantry.open(claims text, token text) returns void
    language plpgsql volatile security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    key tenantry.seal_key;
    given record;
    age numeric;
    said jsonb;
    sealed text;
begin
    select split_part(token, '.', 1) as kid, split_part(token, '.', 2) as issued, split_part(token, '.', 3) as mac into given;
    if claims is null or length(claims) > 16384 or token is null
       or token !~ '^[0-9A-Za-z_-]{{1,32}}[.][0-9]{{13}}[.][0-9a-f]{{64}}$' then
        raise exception 'the context was refused' using errcode = 'invalid_authorization_specification';
    end if;
    -- A token in the text of the statement is visible to every session of the login (pg_stat_activity).
    if strpos(current_query(), given.mac) > 0 then
        raise exception 'the token stands in the text of the statement'
            using errcode = 'invalid_authorization_specification',
                  hint = 'Send it as a parameter of the protocol (bind it). A driver that writes values into the text cannot open contexts.';
    end if;
    select k.* into key from tenantry.seal_key as k
     where k.kid = given.kid and (k.not_after is null or k.not_after > clock_timestamp());
    if not found
       or sha256(convert_to(encode(sha256(key.open_outer || sha256(key.open_inner || convert_to(
              given.kid || '.' || given.issued || '.' || tenantry.challenge() || '.' || claims, 'UTF8'))), 'hex'), 'UTF8'))
          <> sha256(convert_to(given.mac, 'UTF8')) then
        raise exception 'the context was refused' using errcode = 'invalid_authorization_specification';
    end if;
    age := extract(epoch from clock_timestamp()) * 1000 - given.issued::numeric;
    if age not between -{tolerance} and {lifetime} + {tolerance} then
        raise exception 'the context is % ms old', round(age)
            using errcode = 'invalid_authorization_specification',
                  hint = 'It is made anew for each transaction. If it was, the clocks of application and server differ.';
    end if;
    said := claims::jsonb;
    if jsonb_typeof(said -> 'exp') <> 'number' then
        raise exception 'the claim exp is no number' using errcode = 'invalid_authorization_specification';
    end if;
    if (said ->> 'exp')::numeric <= extract(epoch from clock_timestamp()) then
        raise exception 'the token of the caller has expired' using errcode = 'invalid_authorization_specification';
    end if;
    if not coalesce((select pg_has_role(session_user, r.oid, 'MEMBER') from pg_roles as r where r.rolname = said ->> 'role'), false) then
        raise exception 'the claims name no role that this session can take'
            using errcode = 'invalid_authorization_specification',
                  hint = 'The claim role is the database role under which the transaction runs.';
    end if;
    if current_setting('transaction_isolation') <> 'read committed' then
        raise exception 'the transaction is %, and would go on with the memberships of the moment at which it began',
            current_setting('transaction_isolation')
            using errcode = 'invalid_authorization_specification',
                  hint = 'Begin it with BEGIN ISOLATION LEVEL READ COMMITTED. What the session states may be left from the user before.';
    end if;
    if current_setting('session_replication_role') <> 'origin' then
        raise exception 'session_replication_role is %, which leaves out triggers', current_setting('session_replication_role')
            using errcode = 'invalid_authorization_specification';
    end if;
    -- Fixes the meaning of SQL in this transaction, over the login's settings and those of the previous user (tenantry.postgres.stated).
    if array[{read}] <> array[{values}] then
        perform set_config(s.name, s.value, true) from unnest(array[{names}], array[{values}]) as s (name, value);
    end if;
    if current_setting('restrict_nonsystem_relation_kind', true) <> '' then
        perform set_config('restrict_nonsystem_relation_kind', '', true);
    end if;
    perform set_config('request.jwt.claims', claims, true);
    -- Computed separately: an argument of a query is a constant of its plan, and PostgreSQL writes plans into
    -- the log and to the client on request (debug_print_plan, auto_explain).
    sealed := key.kid || '.' || encode(sha256(key.context_outer || sha256(key.context_inner
        || convert_to(extract(epoch from transaction_timestamp())::text || '.' || claims, 'UTF8'))), 'hex');
    perform set_config('tenantry.seal', sealed, true);
end
$$;
comment on function tenantry.open(text, text) is
    'Opens the caller''s context for this transaction: claims as JSON, and the application''s token over them.';
revoke all on function tenantry.open(text, text) from public;

create or replace function tenantry.claims() returns jsonb
    language plpgsql stable parallel safe security definer
    set search_path = pg_catalog, pg_temp
    set debug_print_plan = off
as $$
declare
    given constant text := nullif(current_setting('request.jwt.claims', true), '');
    seal constant text := nullif(current_setting('tenantry.seal', true), '');
    key tenantry.seal_key;
    said jsonb;
begin
    if given is null or seal is null then
        return null;
    end if;
    select k.* into key from tenantry.seal_key as k
     where k.kid = split_part(seal, '.', 1) and (k.not_after is null or k.not_after > clock_timestamp());
    if not found
       or sha256(convert_to(encode(sha256(key.context_outer || sha256(key.context_inner
              || convert_to(extract(epoch from transaction_timestamp())::text || '.' || given, 'UTF8'))), 'hex'), 'UTF8'))
          <> sha256(convert_to(split_part(seal, '.', 2), 'UTF8')) then
        return null;
    end if;
    said := given::jsonb;
    if (said ->> 'role') is distinct from current_setting('role')
       or (said ->> 'exp')::numeric <= extract(epoch from clock_timestamp()) then
        return null;
    end if;
    return said;
end
$$;
comment on function tenantry.claims() is 'The claims of the caller; null unless tenantry.open() opened them in this transaction, the transaction runs under the role that they name, and they have not expired.';
revoke all on function tenantry.claims() from public;
