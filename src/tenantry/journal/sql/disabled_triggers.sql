create table if not exists tenantry.sleeping (
    relation     text   not null,
    trigger_name text   not null,
    state        "char" not null,
    primary key (relation, trigger_name)
);
comment on table tenantry.sleeping is 'Application triggers on the source that are disabled while the source follows the target, with their earlier state.';

create or replace function tenantry.sleep_triggers(tables text[]) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    found record;
begin
    for found in
        select c.oid::regclass::text as relation, t.tgname::text as trigger_name, t.tgenabled as state
          from unnest(tables) n (name)
         cross join lateral (
               with recursive below (id) as (
                   select n.name::regclass::oid union select h.inhrelid from below b join pg_inherits h on h.inhparent = b.id)
               select id from below) r
          join pg_class c on c.oid = r.id
          join pg_trigger t on t.tgrelid = c.oid
         where not t.tgisinternal and t.tgenabled <> 'D' and t.tgname !~ '^tenantry_((capture|fence)(_truncate)?|guard)$'
         order by 1, 2
    loop
        insert into tenantry.sleeping values (found.relation, found.trigger_name, found.state) on conflict do nothing;
        execute format('alter table only %s disable trigger %I', found.relation, found.trigger_name);
    end loop;
end
$$;
comment on function tenantry.sleep_triggers is 'Disables the application''s triggers on the source: rows replayed into it are final, so no trigger may change them or send notifications about them again.';
revoke all on function tenantry.sleep_triggers(text[]) from public;

create or replace function tenantry.wake_triggers() returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    found record;
begin
    for found in
        select s.* from tenantry.sleeping s
          join pg_trigger t on t.tgrelid = to_regclass(s.relation) and t.tgname = s.trigger_name
         order by 1, 2
    loop
        execute format('alter table only %s enable%s trigger %I', found.relation,
                       case found.state when 'A' then ' always' when 'R' then ' replica' else '' end, found.trigger_name);
    end loop;
    delete from tenantry.sleeping;
end
$$;
comment on function tenantry.wake_triggers is 'Restores the earlier state of each source trigger when applications write the source again.';
revoke all on function tenantry.wake_triggers() from public;

create table if not exists tenantry.sleeping_rule (
    relation  text   not null,
    rule_name text   not null,
    state     "char" not null,
    primary key (relation, rule_name)
);
comment on table tenantry.sleeping_rule is 'Rewrite rules of tables that Tenantry writes and the application does not; they are disabled meanwhile. Stores their earlier state.';

create or replace function tenantry.sleep_rules(tables text[]) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    found record;
begin
    for found in
        select c.oid::regclass::text as relation, r.rulename::text as rule_name, r.ev_enabled as state
          from unnest(tables) n (name)
         cross join lateral (select n.name::regclass::oid union select p.relid::oid from pg_partition_tree(n.name::regclass) p) t (id)
          join pg_class c on c.oid = t.id
          join pg_rewrite r on r.ev_class = c.oid
         where r.ev_enabled <> 'D' and r.ev_type <> '1'
         order by 1, 2
    loop
        insert into tenantry.sleeping_rule values (found.relation, found.rule_name, found.state) on conflict do nothing;
        execute format('alter table only %s disable rule %I', found.relation, found.rule_name);
    end loop;
end
$$;
comment on function tenantry.sleep_rules is 'Disables rewrite rules: an INSTEAD rule would prevent replay from writing rows, and the server does not support RETURNING with it.';
revoke all on function tenantry.sleep_rules(text[]) from public;

create or replace function tenantry.wake_rules(tables text[]) returns void
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    found record;
begin
    for found in
        select s.* from tenantry.sleeping_rule s
          join pg_rewrite r on r.ev_class = to_regclass(s.relation) and r.rulename = s.rule_name
         where to_regclass(s.relation) in
               (select t.id from unnest(tables) n (name)
                 cross join lateral (select n.name::regclass::oid union select p.relid::oid from pg_partition_tree(n.name::regclass) p) t (id))
         order by 1, 2
    loop
        execute format('alter table only %s enable%s rule %I', found.relation,
                       case found.state when 'A' then ' always' when 'R' then ' replica' else '' end, found.rule_name);
        delete from tenantry.sleeping_rule s where s.relation = found.relation and s.rule_name = found.rule_name;
    end loop;
end
$$;
comment on function tenantry.wake_rules is 'Restores the earlier state of each rule when applications write these tables.';
revoke all on function tenantry.wake_rules(text[]) from public;

