do $$
begin
    if to_regprocedure('tenantry.direction()') is null then
        create function tenantry.direction() returns text
            language sql stable set search_path = pg_catalog, pg_temp return 'forward';
    end if;
end
$$;
comment on function tenantry.direction() is 'The direction of the run: which side applications write. Fences call it. The transaction of a switchover replaces the function, so that no snapshot shows an older direction.';
revoke all on function tenantry.direction() from public;

create or replace function tenantry.guards(target_schema text) returns text
    language sql stable
    set search_path = pg_catalog, pg_temp
return (select md5(coalesce(string_agg(concat_ws(' ', t.oid, t.xmin, t.tgenabled), ',' order by t.oid), ''))
          from pg_trigger t join pg_class c on c.oid = t.tgrelid
         where c.relnamespace = to_regnamespace(quote_ident(guards.target_schema))
           and t.tgname ~ '^tenantry_(capture|fence)(_truncate|_moved)?$');
comment on function tenantry.guards is 'A digest of the triggers that block other writers of the target. It changes if a trigger was disabled, even if it was enabled again.';
revoke all on function tenantry.guards(text) from public;

create or replace function tenantry.sets_off_accounts(stack text) returns boolean
    language sql stable
    set search_path = pg_catalog, pg_temp
return exists (select from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid
                where c.relnamespace = to_regnamespace('auth') and not t.tgisinternal
                  and (position(quote_ident(p.proname) || '(' in sets_off_accounts.stack) > 0
                       or position('"' || p.proname || '"' in sets_off_accounts.stack) > 0));
comment on function tenantry.sets_off_accounts is 'Whether the call stack shows that a trigger on the accounts runs the statement.';
revoke all on function tenantry.sets_off_accounts(text) from public;

create or replace function tenantry.refuse_write() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    passes boolean := tenantry.direction() = 'both'
        or tenantry.direction() = case tg_argv[0] when 'source' then 'forward' else 'reverse' end;
    stack  text;
begin
    if not passes and pg_trigger_depth() > 1 and tg_level = 'ROW' then
        get diagnostics stack = pg_context;
        -- Writes of a trigger on the accounts are skipped: people keep signing up, and the active side has a trigger of its own.
        if tenantry.sets_off_accounts(stack) then
            return null;
        end if;
        -- The action of a foreign key after its parent, such as an account, was deleted; that deletion was allowed.
        passes := session_user = tg_argv[1]
            or split_part(stack, E'\n', 2) ~ '(DELETE FROM|UPDATE) (ONLY )?"[^"]+"[.]"[^"]+" .*[$][0-9]+ OPERATOR[(]';
    end if;
    if passes then
        return case when tg_level = 'STATEMENT' then null when tg_op = 'DELETE' then old else new end;
    end if;
    if tg_argv[0] = 'source' then
        raise exception 'table %.% is read-only: its data has moved to %', tg_table_schema, tg_table_name, tg_argv[2]
            using errcode = 'read_only_sql_transaction',
                  hint = 'This application still writes the old schema. Point it at the new one; tenantry status tells when it was cut over.';
    end if;
    raise exception 'table %.% is read-only: it is filled from % until the cut-over', tg_table_schema, tg_table_name, tg_argv[2]
        using errcode = 'read_only_sql_transaction',
              detail = format('Until then only %I writes it, the login of the runs.', tg_argv[1]),
              hint = 'Applications write the old schema now; what is written here would be lost. Write there, or run tenantry cutover first.';
end
$$;
comment on function tenantry.refuse_write is 'The fence on the side that applications do not write. Arguments: that side, the login of the runs, the tables that hold the data.';
revoke all on function tenantry.refuse_write() from public;

create or replace function tenantry.leave_out() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    stack text;
begin
    get diagnostics stack = pg_context;
    return case when tenantry.sets_off_accounts(stack) then null when tg_op = 'DELETE' then old else new end;
end
$$;
comment on function tenantry.leave_out is 'Trigger of the source. Accounts that a migration creates fire the triggers of auth.users; this trigger skips what those would write.';
revoke all on function tenantry.leave_out() from public;

