-- Common table expressions of several checks. A check lists the parts that it uses in its header, and refers to them by name.
-- A part with a line `rows` (its columns) is read once for all checks, which get its rows as JSON: planning it again for each of
-- them would take most of a lint's time.

-- name: reach
-- needs:
-- rows: client oid, who text, grantee oid
-- Which grants apply to which client: grants to PUBLIC, to the client itself, and to roles whose rights it inherits
-- (without SET ROLE).
with recursive has as (
    select r.oid as client, r.rolname::text as who, r.oid as grantee
      from pg_roles as r
     where r.rolname = any (%(clients)s::text[]) and not r.rolsuper
     union
    select h.client, h.who, m.roleid
      from has as h
      join pg_auth_members as m on m.member = h.grantee
      join pg_roles as r on r.oid = m.member
     where coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit)
)
select client, who, grantee from has
 union all
select 0::oid, 'PUBLIC', 0::oid

-- name: relations
-- needs:
-- Tables, views and sequences of the inspected schemas, without those of extensions.
select c.oid, n.nspname::text as schema_name, c.relname::text as name, format('%%I.%%I', n.nspname, c.relname) as object,
       c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relispartition, c.relowner, c.relacl, c.reloptions
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
 where n.nspname = any (%(schemas)s::text[]) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
   and not exists (
       select from pg_depend as d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')

-- name: grants
-- needs: reach, relations
-- rows: oid oid, number int, who text, privilege text
-- Rights of clients on relations and their columns (number 0: the whole relation).
select distinct r.oid, 0 as number, h.who, x.privilege_type as privilege
  from relations as r
 cross join lateral aclexplode(
       coalesce(r.relacl, acldefault(case r.relkind when 'S' then 's' else 'r' end::"char", r.relowner))) as x
  join reach as h on h.grantee = x.grantee
 union all
select distinct r.oid, a.attnum::int, h.who, x.privilege_type
  from relations as r
  join pg_attribute as a on a.attrelid = r.oid and a.attacl is not null and not a.attisdropped
 cross join lateral aclexplode(a.attacl) as x
  join reach as h on h.grantee = x.grantee

-- name: tenant_columns
-- needs:
-- The tenant column of each table that has one; for the tenant table itself its key.
select t.oid, t.number, false as is_root
  from unnest(%(tenant_tables)s::oid[], %(tenant_numbers)s::int[]) as t (oid, number)
 union all
select r.oid, r.number, true
  from (values (%(root)s::oid, %(root_number)s::int)) as r (oid, number)
 where r.number > 0

-- name: policies
-- needs: reach, relations
-- rows: oid oid, relation oid, object text, name text, command "char", permissive boolean, without_check boolean,
--   without_using boolean, relrowsecurity boolean, who text, for_public boolean
-- Policies that apply to clients, with these clients.
select p.oid, p.polrelid as relation, r.object, p.polname::text as name, p.polcmd as command, p.polpermissive as permissive,
       p.polwithcheck is null as without_check, p.polqual is null as without_using, r.relrowsecurity,
       case when 0 = any (p.polroles) then 'PUBLIC' else string_agg(distinct h.who, ', ' order by h.who) end as who,
       0 = any (p.polroles) as for_public
  from pg_policy as p
  join relations as r on r.oid = p.polrelid
  join reach as h on h.grantee = any (p.polroles) or 0 = any (p.polroles)
 group by p.oid, r.object, r.relrowsecurity

-- name: clauses
-- needs: policies
-- Facts about the conditions of these policies, from their stored trees. Arrays are never null.
--   always, nobody, somebody: true for every row; true without a signed-in caller; true for every signed-in caller. never: false.
--   closed: false without a signed-in caller.
--   columns: of the policy's table. callers, calls: functions that know the caller; all functions. per_row_…: called or
--   selected for each row. relations: tables in sub-selects. unbound: tables of an EXISTS that depends neither
--   on the row nor on the caller. leaves: the conditions joined by AND and OR. texts, settings: constants, names of settings.
--   compared: [column, operator, other side, whether the column is cast or computed, functions in the other side].
--   patterns: pattern operators whose pattern comes from the caller. asked: tables in sub-selects, with the compared columns
--   (see tenantry.prove.lint.sub_selects). selves: tables in sub-selects that compare a column with itself.
select p.*, f.clause, coalesce(f.always, false) as always, coalesce(f.nobody, false) as nobody,
       coalesce(f.somebody, false) as somebody, coalesce(f.never, false) as never, coalesce(f.closed, false) as closed,
       coalesce(f.columns, '{}') as columns, coalesce(f.callers, '{}') as callers, coalesce(f.calls, '{}') as calls,
       coalesce(f.per_row_calls, '{}') as per_row_calls, coalesce(f.per_row_callers, '{}') as per_row_callers,
       coalesce(f.per_row_selects, '{}') as per_row_selects, coalesce(f.relations, '{}') as relations,
       coalesce(f.unbound, '{}') as unbound, coalesce(f.leaves, '[]') as leaves,
       coalesce(f.texts, '{}') as texts, coalesce(f.settings, '{}') as settings, coalesce(f.compared, '[]') as compared,
       coalesce(f.patterns, '{}') as patterns, coalesce(f.asked, '[]') as asked, coalesce(f.selves, '{}') as selves
  from jsonb_to_recordset(%(clauses)s::jsonb) as f (
       policy oid, clause text, always boolean, nobody boolean, somebody boolean, never boolean, closed boolean,
       columns int[], callers oid[], calls oid[], per_row_calls oid[], per_row_callers oid[], per_row_selects text[], relations oid[],
       unbound oid[], leaves jsonb, texts text[], settings text[], compared jsonb, patterns text[], asked jsonb, selves oid[])
  join policies as p on p.oid = f.policy

-- name: bodies
-- needs:
-- Facts from the text of functions. caller: knows the caller; direct: returns the caller; reads: tables and views it names; dynamic:
-- executes text that it composes without quoting; editable: names metadata that users can edit; backslashes: its meaning
-- depends on standard_conforming_strings; secret: contains a key; picks: [argument, relation, column, is written]: rows that an
-- argument selects without a tie to the caller; asks: relations that it queries about the caller, with the numbers of columns
-- in conditions, and of those compared only with constants; sets: settings that it sets; parsed: its text was parsed.
select f.oid, coalesce(f.caller, false) as caller, coalesce(f.direct, false) as direct, coalesce(f.reads, '{}') as reads,
       coalesce(f.calls, '{}') as calls, coalesce(f.settings, '{}') as settings, coalesce(f.dynamic, false) as dynamic,
       coalesce(f.editable, false) as editable, coalesce(f.backslashes, false) as backslashes, coalesce(f.secret, false) as secret,
       coalesce(f.picks, '[]') as picks, coalesce(f.asks, '[]') as asks, coalesce(f.sets, '{}') as sets, coalesce(f.parsed, false) as parsed
  from jsonb_to_recordset(%(functions)s::jsonb) as f (
       oid oid, caller boolean, direct boolean, reads oid[], calls oid[], settings text[], dynamic boolean, editable boolean,
       backslashes boolean, secret boolean, picks jsonb, asks jsonb, sets text[], parsed boolean)

-- name: functions
-- needs: bodies
-- Functions of the inspected schemas, without those of extensions. path: the search_path that they set, or null.
select p.oid, p.proname::text as name, p.prosecdef as definer, p.provolatile as volatility, p.proleakproof as leakproof,
       p.proowner as owner, p.proacl, p.prorettype, p.proargnames, p.proargtypes, p.pronargs,
       (select substr(s, 13) from unnest(p.proconfig) as s where s like 'search_path=%%') as path,
       b.caller, b.direct, b.reads, b.calls, b.settings, b.dynamic, b.editable, b.picks, b.asks, b.sets, b.parsed
  from pg_proc as p
  join pg_namespace as n on n.oid = p.pronamespace
  join bodies as b on b.oid = p.oid
 where n.nspname = any (%(schemas)s::text[])

-- name: callable
-- needs: functions, reach
-- rows: oid oid, who text, by_visitors boolean
-- The functions that clients may call, with these clients.
select f.oid, string_agg(distinct h.who, ', ' order by h.who) as who,
       bool_or(h.who = 'PUBLIC' or h.who = any (%(visitors)s::text[])) as by_visitors
  from functions as f
 cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.owner))) as x
  join reach as h on h.grantee = x.grantee
 group by f.oid

-- name: becomes
-- needs:
-- rows: client oid, who text, role oid, inherited boolean
-- The roles that clients are members of, or can become by SET ROLE.
with recursive can as (
    select r.oid as client, r.rolname::text as who, r.oid as role, true as inherited
      from pg_roles as r where r.rolname = any (%(clients)s::text[])
     union
    select c.client, c.who, m.roleid,
           c.inherited and coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit)
      from can as c
      join pg_auth_members as m on m.member = c.role
      join pg_roles as r on r.oid = m.member
     where coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit)
        or coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)
)
select client, who, role, bool_or(inherited) as inherited from can where client <> role group by client, who, role

-- name: foreign_keys
-- needs: relations
-- rows: oid oid, name text, child oid, parent oid, child_object text, parent_object text, child_columns int[],
--   parent_columns int[], on_delete "char", on_update "char", set_columns int[]
-- Foreign keys between the inspected tables: columns of both sides in order, and the tables' names.
select k.oid, k.conname::text as name, k.conrelid as child, k.confrelid as parent, c.object as child_object,
       p.object as parent_object, k.conkey::int[] as child_columns, k.confkey::int[] as parent_columns, k.confdeltype as on_delete,
       k.confupdtype as on_update, k.confdelsetcols::int[] as set_columns
  from pg_constraint as k
  join relations as c on c.oid = k.conrelid
  join relations as p on p.oid = k.confrelid
 where k.contype = 'f' and k.conparentid = 0

-- name: view_sources
-- needs: relations
-- rows: view oid, source oid, object text, schema_name text, name text, relrowsecurity boolean, relkind "char"
-- Tables that a view reads, directly or through other views that read with their owner's rights.
with recursive reads as (
    select w.ev_class as view, d.refobjid as source
      from pg_rewrite as w
      join pg_depend as d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.refclassid = 'pg_class'::regclass
     where d.refobjid <> w.ev_class and w.ev_type = '1'
), through as (
    select v.oid as view, s.source
      from relations as v
      join reads as s on s.view = v.oid
     where v.relkind in ('v', 'm')
     union
    select t.view, s.source from through as t join reads as s on s.view = t.source
)
select t.view, c.oid as source, format('%%I.%%I', n.nspname, c.relname) as object, n.nspname::text as schema_name,
       c.relname::text as name, c.relrowsecurity, c.relkind
  from through as t
  join pg_class as c on c.oid = t.source
  join pg_namespace as n on n.oid = c.relnamespace
 group by t.view, c.oid, n.nspname

-- name: children
-- needs: relations, tenant_columns, foreign_keys
-- rows: oid oid, parent oid
-- Tables without a tenant column whose rows depend on rows of tenants: through a foreign key, or a chain of them.
with recursive below as (
    select k.child as oid, k.parent
      from foreign_keys as k
      join tenant_columns as t on t.oid = k.parent
     where k.child not in (select o.oid from tenant_columns as o)
       and k.parent not in (%(membership)s, %(root)s)
     union
    select k.child, b.parent
      from below as b
      join foreign_keys as k on k.parent = b.oid
     where k.child not in (select o.oid from tenant_columns as o)
)
select oid, min(parent) as parent from below group by oid

-- name: personal
-- needs: relations, grants
-- Columns with names of personal data that clients may read.
select r.oid, string_agg(distinct quote_ident(a.attname), ', ') as columns
  from relations as r
  join pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  join grants as g on g.oid = r.oid and g.number in (0, a.attnum) and g.privilege = 'SELECT'
 where r.relkind in ('r', 'p')
   and a.attname ~* ('^(e_?mail|phone|mobile|telephone|fax|birth|dob$|ssn|iban|tax_?(id|number)|passport|salary|wage|diagnos|insurance|street|zip|postal'
                     || '|postcode|home_|bank_|card_|national_id|ip_?addr|last_?ip|first_?name|last_?name|surname|full_?name)'
                     || '|_(e_?mail|phone|mobile|birth|ssn|iban|salary|address)$|^address$|^(date_of_)?birth')
 group by r.oid

-- name: guarded
-- needs: relations
-- Columns that a trigger protects: its text compares the new value and raises an error, or restores the old value.
select distinct t.tgrelid as oid, a.attnum::int as number
  from pg_trigger as t
  join relations as r on r.oid = t.tgrelid
  join pg_proc as p on p.oid = t.tgfoid
  join pg_attribute as a on a.attrelid = t.tgrelid and a.attnum > 0 and not a.attisdropped
 where not t.tgisinternal and t.tgenabled in ('O', 'A') and t.tgtype & 1 = 1 and t.tgtype & 2 = 2 and t.tgtype & 16 = 16
   and (p.prosrc ~* ('new[.]"?' || a.attname || '"?\s*:?=\s*old[.]"?' || a.attname || '\M')
        or (p.prosrc ~* 'raise\s+(exception|insufficient|''|sqlstate)'
            and p.prosrc ~* ('(new|old)[.]"?' || a.attname || '"?\s*(<>|!=|is\s+distinct\s+from)\s*(old|new)[.]"?' || a.attname || '\M')))
