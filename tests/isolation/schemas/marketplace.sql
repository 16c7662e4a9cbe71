-- Sellers and buyers: each row is a person's.
create table profiles (id uuid primary key references auth.users, name text not null);
create table addresses (id uuid primary key default gen_random_uuid(), user_id uuid not null references auth.users, street text not null, phone text);
create table listings (id uuid primary key default gen_random_uuid(), user_id uuid not null references auth.users, title text not null, on_sale boolean not null default false);
create table favourites (user_id uuid not null references auth.users, listing_id uuid not null references listings on delete cascade, primary key (user_id, listing_id));
create table orders (
    id uuid primary key default gen_random_uuid(), user_id uuid not null references auth.users, listing_id uuid not null references listings, status text not null default 'new');
create table payouts (id uuid primary key default gen_random_uuid(), user_id uuid not null references auth.users, amount numeric not null);
create policy own on profiles to authenticated using (id = (select auth.uid())) with check (id = (select auth.uid()));
create policy own on addresses to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy own on listings to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy on_sale on listings for select to authenticated using (on_sale);
create policy own on favourites to authenticated using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
create policy own on orders for select to authenticated using (user_id = (select auth.uid()));
create policy sold on orders for select to authenticated
    using (listing_id = any (array(select l.id from listings as l where l.user_id = (select auth.uid()))));
create policy buy on orders for insert to authenticated with check (user_id = (select auth.uid()));
create policy own on payouts for select to authenticated using (user_id = (select auth.uid()));
create function public.ship(sold uuid) returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    seller uuid;
begin
    select l.user_id into seller from public.orders as o join public.listings as l on l.id = o.listing_id where o.id = sold;
    if seller is distinct from auth.uid() then
        raise exception 'not your sale';
    end if;
    update public.orders as o set status = 'shipped' where o.id = sold;
end $$;
create view public.sales with (security_invoker = true) as select o.id, o.status, l.title from orders as o join listings as l on l.id = o.listing_id;
grant select on public.sales to authenticated;
grant execute on all functions in schema public to authenticated;
insert into profiles select id, 'Somebody' from auth.users;
insert into addresses (user_id, street) select id, 'Main Street 1' from auth.users;
insert into listings (user_id, title) select id, 'A chair' from auth.users;
insert into orders (user_id, listing_id) select u.id, l.id from auth.users as u join listings as l on l.user_id = u.id;
insert into payouts (user_id, amount) select id, 10 from auth.users;
-- hole: public.addresses: everybody's streets and numbers are everybody's
create policy see on addresses for select to authenticated using (true);
-- hole: public.cancel(uuid): an order by its id, whosever it is
create function public.cancel(order_id uuid) returns void language sql security definer set search_path = pg_catalog, pg_temp as $$
    update public.orders as o set status = 'cancelled' where o.id = order_id and auth.uid() is not null $$;
grant execute on function public.cancel(uuid) to authenticated;
-- hole: public.all_payouts: a view with its owner's rights
create view public.all_payouts as select p.user_id, p.amount from payouts as p;
grant select on public.all_payouts to authenticated;
