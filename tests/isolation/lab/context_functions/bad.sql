-- fires: tenantry.peek()
create schema tenantry;
create function tenantry.peek() returns bigint language sql security definer return (select count(*) from app.notes);
