create or replace function tenantry.capture_target() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
declare
    before text;
    after  text;
begin
    -- A renamed column must not make writes fail: if the key cannot be read, the entry is for the whole table.
    begin
        if tg_op in ('UPDATE', 'DELETE') then
            before := old.legacy_id;
        end if;
        if tg_op in ('INSERT', 'UPDATE') then
            after := new.legacy_id;
        end if;
    exception when undefined_column then
        before := null;
        after := null;
    end;
    insert into tenantry.target_log (table_name, old_key, new_key) values (tg_argv[0], before, after);
    return null;
end
$$;
comment on function tenantry.capture_target is 'Records the keys of target rows that applications change, from the cut-over on.';
revoke all on function tenantry.capture_target() from public;

create or replace function tenantry.capture_move() returns trigger
    language plpgsql security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('insert into tenantry.tenant_move (table_name, legacy_id, old_tenant, tenant) values ($3, ($2).legacy_id, ($1).%1$I::text, ($2).%1$I::text)', tg_argv[1])
        using old, new, tg_argv[0];
    return null;
end
$$;
comment on function tenantry.capture_move is 'Records which target rows applications move to another tenant; a new row with the id of another tenant''s row is not a move.';
revoke all on function tenantry.capture_move() from public;
