-- Reads the rights on the schema and on all its relations, columns, functions and types.
-- The rights that an owner has by default are omitted as long as the owner has all of them.
with objects as (
    select n.oid, n.nspowner as owner, n.nspacl as acl, acldefault('n', n.nspowner) as defaults
    from pg_namespace n
    where n.oid = %(namespace)s
    union all
    select c.oid, c.relowner, c.relacl, acldefault(case c.relkind when 'S' then 's'::"char" else 'r' end, c.relowner)
    from pg_class c
    where c.relnamespace = %(namespace)s and c.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
    union all
    select p.oid, p.proowner, p.proacl, acldefault('f', p.proowner)
    from pg_proc p
    where p.pronamespace = %(namespace)s
    union all
    select t.oid, t.typowner, t.typacl, acldefault('T', t.typowner)
    from pg_type t
    left join pg_class c on c.oid = t.typrelid
    where t.typnamespace = %(namespace)s and (t.typtype in ('e', 'd') or c.relkind = 'c')
),
whole as (
    select
        o.oid,
        g.*,
        g.grantee = o.owner and not exists (
            select d.privilege_type from aclexplode(o.defaults) d where d.grantee = o.owner
            except
            select mine.privilege_type from aclexplode(coalesce(o.acl, o.defaults)) mine where mine.grantee = o.owner
        ) as implied
    from objects o
    cross join aclexplode(coalesce(o.acl, o.defaults)) g
)
select
    w.oid,
    null::text as column,
    case w.grantee when 0 then 'PUBLIC' else pg_get_userbyid(w.grantee)::text end as grantee,
    w.privilege_type as privilege,
    w.is_grantable as grantable,
    pg_get_userbyid(w.grantor)::text as grantor
from whole w
where not w.implied
union all
select
    a.attrelid,
    a.attname::text,
    case g.grantee when 0 then 'PUBLIC' else pg_get_userbyid(g.grantee)::text end,
    g.privilege_type,
    g.is_grantable,
    pg_get_userbyid(g.grantor)::text
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attacl is not null and not a.attisdropped
cross join aclexplode(a.attacl) g
where c.relnamespace = %(namespace)s
