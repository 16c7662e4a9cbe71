-- fires: authenticated has SELECT
select lo_create(4711);
grant select on large object 4711 to authenticated;
