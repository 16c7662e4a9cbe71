-- The roles of the cluster that Tenantry's grants and policies name, and who may make temporary objects in this database. Run
-- it once in each database that is migrated, as a superuser or as a role with CREATEROLE that owns the database; running it
-- again changes nothing. Roles belong to the whole cluster: rolling back a migration does not drop them.
--
-- The API's login has no password yet. Set one that reaches no log, in psql:  \password {login}
--
-- One statement, under one lock. The lock covers this database only: a role that is created at the same time from
-- another database is found to exist.

do $roles$
declare
    owner      constant name := {owner};
    definer    constant name := {definer};
    login      constant name := {login};
    base       constant name := {database};
    clients    constant name[] := array[{anon}, {authenticated}];
    -- From 16 on a membership states what it gives: SET ROLE, without inheriting the role's rights.
    become     constant text :=
        case when current_setting('server_version_num')::integer >= 160000 then ' with inherit false, set true' else '' end;
    wanted     record;
begin
    -- Anyone else may take this lock too: the wait for it is reported and limited.
    for patience in 1 .. 300 loop
        exit when pg_try_advisory_xact_lock(7304871220351);
        if patience = 300 then
            raise exception 'another session holds the lock of this script: %',
                coalesce((select string_agg(l.pid::text, ', ') from pg_locks l
                           where l.locktype = 'advisory' and l.granted
                             and (l.classid::bigint << 32) + l.objid::bigint = 7304871220351), 'nobody any more')
                using errcode = 'lock_not_available', hint = 'Wait for its end, or end it: select pg_terminate_backend(pid).';
        end if;
        perform pg_sleep(0.1);
    end loop;

    for wanted in
        select *
          from (values
                ({anon}::name,           'nologin noinherit',  'Visitors who have not signed in.'),
                ({authenticated},        'nologin noinherit',  'People who have signed in; policies are written to this role.'),
                ({service},              'nologin noinherit',  'The application itself, for what no client may do.'),
                ({definer},              'nologin noinherit',  'Owns the functions that policies call; reads memberships and nothing else.'),
                ({backup},               'nologin noinherit',  'Reads every row, for pg_dump --enable-row-security.'),
                ({login},                'login noinherit',    'The API''s login: becomes anon or authenticated, owns nothing.')
               ) as r (name, attributes, meaning)
    loop
        if to_regrole(quote_ident(wanted.name)) is null then
            begin
                execute format('create role %I %s', wanted.name, wanted.attributes);
                execute format('comment on role %I is %L', wanted.name, wanted.meaning);
            exception when duplicate_object or unique_violation then
                raise notice 'role % was made in this moment by somebody else', wanted.name;
            end;
        end if;
    end loop;

    -- Memberships: the API's login may become its two clients; the owner of the tables the definer, whose functions it makes,
    -- and the clients, to prove their access.
    for wanted in
        select r.name as granted, r.member
          from (select unnest(clients) as name, login as member union all select unnest(clients || definer), owner) as r
         where not exists (
               select from pg_auth_members as m
                where m.roleid = to_regrole(quote_ident(r.name)) and m.member = to_regrole(quote_ident(r.member))
                  and coalesce(to_jsonb(m) ->> 'set_option', 'true') = 'true'
                  and coalesce(to_jsonb(m) ->> 'inherit_option', 'false') = 'false')
    loop
        begin
            execute format('grant %I to %I', wanted.granted, wanted.member) || become;
        exception when unique_violation then
            raise notice 'role % was granted to % in this moment by somebody else', wanted.granted, wanted.member;
        end;
    end loop;

    -- Settings that fix the meaning of SQL in the login's sessions in this database, over those of ALTER ROLE for all databases. SQL that runs as
    -- the login can alter them again, so the library also sets them in each connection and each context.
    begin
        for wanted in
            select s.*
              from (values {stated}) as s (name, value)
             where not exists (
                   select from pg_db_role_setting as d, unnest(d.setconfig) as c (setting)
                    where d.setrole = to_regrole(quote_ident(login)) and c.setting = s.name || '=' || s.value
                      and d.setdatabase = (select oid from pg_database where datname = base))
        loop
            execute format('alter role %I in database %I set %I = %L', login, base, wanted.name, wanted.value);
        end loop;
    exception when insufficient_privilege then
        raise notice 'role % is not yours to alter: its settings are as they were', login;
    end;

    -- The owner makes schemas and temporary tables in the database; others could shadow names with temporary objects.
    if not has_database_privilege(owner, base, 'CREATE') then
        execute format('grant create on database %I to %I', base, owner);
    end if;
    if exists (
        select from pg_database as d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as g
         where d.datname = base and g.grantee = 0 and g.privilege_type = 'TEMPORARY') then
        execute format('revoke temporary on database %I from public', base);
    end if;
    if not has_database_privilege(owner, base, 'TEMPORARY') then
        execute format('grant temporary on database %I to %I', base, owner);
    end if;
end
$roles$;
