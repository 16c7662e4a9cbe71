-- One shop, and nobody thought of a second one: no table and no column says whose a row is.
create table countries (code char(2) primary key, name text not null, vat_rate numeric(4, 2) not null);
create table staff (id serial primary key, email varchar(255) not null unique, password varchar(255) not null, name text not null, is_admin boolean not null default false, deleted_at timestamptz);
create table customers (id serial primary key, email varchar(255) not null, name text not null, country char(2) not null references countries (code), stripe_id text unique, google_id text, crm_uuid uuid, referred_by integer, loyalty_no bigint, deleted_at timestamptz);
create table addresses (id serial primary key, customer_id integer not null references customers (id), street text not null, zip_id varchar(10) not null, country_code char(2) not null, phone text);
create table categories (slug varchar(80) primary key, title text not null, parent_slug varchar(80), sort_order integer not null default 0);
create table products (sku varchar(20) primary key, slug varchar(80) not null unique, category varchar(80) references categories (slug), title text not null, price_cents integer not null, weight text, attributes jsonb not null default '{}', supplier_ref text, ean_id bigint, deleted_at timestamptz);
create table product_images (id serial primary key, sku varchar(20) not null, url text not null, position integer not null);
create table carts (id uuid primary key default gen_random_uuid(), customer_id integer, session_id text not null, items jsonb not null default '[]', updated_at timestamptz not null default now());
create table orders (id serial primary key, order_no varchar(20) not null unique, customer_id integer references customers (id), payment_intent_id text, status varchar(20) not null, total_cents integer not null, shipping_address integer, coupon varchar(20), handled_by integer, placed_at timestamp not null, deleted_at timestamptz);
create table order_items (order_id integer not null references orders (id), line integer not null, sku varchar(20) not null, quantity integer not null, unit_cents integer not null, primary key (order_id, line));
create table coupons (code varchar(20) primary key, percent integer not null, valid_until text, used_count integer not null default 0);
create table refunds (id serial primary key, order_id integer not null, stripe_refund_id text not null, amount_cents integer not null, reason text);
create table reviews (id serial primary key, product_slug varchar(80) not null, customer_id integer, stars smallint not null, verified varchar(3) not null, body text);
create table pages (slug varchar(80) primary key, title text not null, body text not null, edited_by integer);
create table settings (key text primary key, value text not null);
create table webhook_events (id text primary key, provider text not null, object_id text not null, payload jsonb not null, received timestamptz not null default now());
create table stock_moves (id bigserial primary key, sku varchar(20) not null, delta integer not null, cause text not null, sequence_no bigint not null, at timestamptz not null default now());
create table gift_cards (id serial primary key, code text not null, order_id integer, redeemed_order_id integer);
