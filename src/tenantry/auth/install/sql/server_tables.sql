-- Tables of the sign-in server that Supabase Auth does not have, in a schema of their own: schema auth stays as Supabase Auth knows it.
-- Repeatable. Run by the owner of schema auth; the server's login gets its rights from tenantry.auth.install.rights.

do $$
begin
    if to_regnamespace('tenantry_auth') is null then
        create schema tenantry_auth;
    end if;
end
$$;
comment on schema tenantry_auth is 'What the sign-in server of Tenantry keeps besides the accounts in schema auth.';
revoke all on schema tenantry_auth from public;

-- Rate limits by the generic cell rate algorithm: one row and one upsert for each limited key. `tat`, the theoretical arrival time, is when
-- the key would be as good as unused again. A call is allowed if the new tat is at most `burst` intervals ahead:
--
--     insert into tenantry_auth.rate_limits as l (key, tat) values ($key, clock_timestamp() + $interval)
--     on conflict (key) do update set tat = greatest(l.tat, clock_timestamp()) + $interval
--      where greatest(l.tat, clock_timestamp()) + $interval <= clock_timestamp() + $burst * $interval
--     returning tat;   -- no row: refused; the key is free again at tat - ($burst - 1) * $interval
--
-- Keys are digests: the table holds no addresses of users. It is not logged: after a crash of the database server all limits begin at zero.
-- There is no index on tat, so that updates stay in their page; the server deletes rows whose tat has passed from time to time.
create unlogged table if not exists tenantry_auth.rate_limits (
    key text        not null primary key check (char_length(key) between 1 and 200),
    tat timestamptz not null
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
comment on table tenantry_auth.rate_limits is 'How often something was asked for: one row for each limited key, which is a digest.';
comment on column tenantry_auth.rate_limits.tat is 'When the key counts as unused again.';

-- The schema is closed to everyone but its owner and the server's login.
revoke all on all tables in schema tenantry_auth from public;
