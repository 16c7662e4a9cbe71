-- fires: app.plans_sold
create schema shop;
create table shop.plans (id int primary key, name text, sold boolean);
create view app.plans_sold as select id, name from shop.plans where sold;
grant select on app.plans_sold to authenticated;
