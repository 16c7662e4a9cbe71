create or replace function tenantry.json_ids(document jsonb, paths text[], ids jsonb[], drop_unknown boolean)
    returns jsonb
    language plpgsql immutable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
begin
    for i in 1 .. coalesce(cardinality(paths), 0) loop
        document := tenantry.json_ids_at(
            document, string_to_array(ltrim(replace(ltrim(paths[i], '$'), '[*]', '.[]'), '.'), '.'), coalesce(ids[i], '{}'), drop_unknown, false);
    end loop;
    return document;
end
$$;
comment on function tenantry.json_ids is 'Translates old ids in a document into new ones at the given paths; unknown ids are kept, or dropped with their array element.';

create or replace function tenantry.json_ids_at(node jsonb, path text[], ids jsonb, drop_unknown boolean, in_array boolean)
    returns jsonb
    language plpgsql immutable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
declare
    child jsonb;
begin
    if node is null or jsonb_typeof(node) = 'null' then
        return node;
    end if;
    if coalesce(cardinality(path), 0) = 0 then
        if jsonb_typeof(node) not in ('string', 'number') then
            return node;
        elsif ids ->> (node #>> '{}') = node #>> '{}' then
            return node;
        elsif ids ? (node #>> '{}') then
            return ids -> (node #>> '{}');
        end if;
        return case when not drop_unknown then node end;
    end if;
    if path[1] = '**' then
        node := tenantry.json_ids_at(node, path[2:], ids, drop_unknown, in_array);
        return case jsonb_typeof(node)
            when 'object' then coalesce(
                (select jsonb_object_agg(m.key, m.made)
                   from (select e.key, tenantry.json_ids_at(e.value, path, ids, drop_unknown, false) as made from jsonb_each(node) e) m
                  where m.made is not null),
                '{}')
            when 'array' then coalesce(
                (select jsonb_agg(e.made order by e.position)
                   from (select tenantry.json_ids_at(element, path, ids, drop_unknown, true) as made, position
                           from jsonb_array_elements(node) with ordinality as a (element, position)) e
                  where e.made is not null),
                '[]')
            else node end;
    end if;
    if path[1] = '*' then
        if jsonb_typeof(node) <> 'object' then
            return node;
        elsif cardinality(path) = 1 then
            -- The keys are the ids. If two of them become one, such as ids of merged rows, the second key is not replaced: no value is lost.
            return coalesce(
                (select jsonb_object_agg(case when m.place = 1 then m.new else m.key end, m.value)
                   from (select e.key, e.value, coalesce(ids ->> e.key, e.key) as new,
                                row_number() over (partition by coalesce(ids ->> e.key, e.key) order by e.key) as place
                           from jsonb_each(node) e
                          where ids ? e.key or not drop_unknown) m),
                '{}');
        end if;
        return coalesce(
            (select jsonb_object_agg(m.key, m.made)
               from (select e.key, tenantry.json_ids_at(e.value, path[2:], ids, drop_unknown, false) as made from jsonb_each(node) e) m
              where m.made is not null),
            '{}');
    end if;
    if path[1] = '[]' then
        if jsonb_typeof(node) <> 'array' then
            return node;
        end if;
        return coalesce(
            (select jsonb_agg(e.made order by e.position)
               from (select tenantry.json_ids_at(element, path[2:], ids, drop_unknown, true) as made, position
                       from jsonb_array_elements(node) with ordinality as a (element, position)) e
              where e.made is not null),
            '[]');
    end if;
    if jsonb_typeof(node) <> 'object' or not node ? path[1] then
        return node;
    end if;
    child := tenantry.json_ids_at(node -> path[1], path[2:], ids, drop_unknown, in_array);
    if child is not null then
        return jsonb_set(node, array[path[1]], child);
    end if;
    return case when not in_array then node - path[1] end;
end
$$;
comment on function tenantry.json_ids_at is 'One path of tenantry.json_ids; null means that the array element is dropped.';

revoke all on function tenantry.json_ids(jsonb, text[], jsonb[], boolean) from public;
revoke all on function tenantry.json_ids_at(jsonb, text[], jsonb, boolean, boolean) from public;

create or replace function tenantry.readable(value text, type text) returns boolean
    language plpgsql stable parallel unsafe
    set search_path = pg_catalog, pg_temp
as $$
begin
    execute format('select %L::%s', value, type);
    return true;
exception when others then
    return false;
end
$$;
comment on function tenantry.readable is 'Whether a text is valid input of a type; PostgreSQL 16 and later have pg_input_is_valid.';
revoke all on function tenantry.readable(text, text) from public;

