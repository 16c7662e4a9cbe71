-- As it came from another database system: integers, no foreign key anywhere, tinyint flags as smallint, dates in text.
create table t_client (id serial primary key, title varchar(120) not null, vat_no varchar(20), status smallint not null default 1, created integer not null);
create table t_user (id serial primary key, client integer not null, login varchar(60) not null unique, mail varchar(120), passwd char(32), level smallint not null default 0, last_ip varchar(39), inviter integer not null default 0);
create table t_ticket (id serial primary key, client integer not null, author integer not null, assigned integer, parent integer not null default 0, subject varchar(255) not null, prio smallint not null default 3, opened varchar(19) not null, closed varchar(19), is_spam varchar(5) not null default 'false');
create table t_reply (id serial primary key, ticket integer not null, created_by integer not null, body text not null, seq_no integer not null, minutes integer);
create table t_article (article_id serial primary key, cid integer not null, writer integer, section integer, headline varchar(255) not null, hits integer not null default 0, sort_id integer not null default 0);
create table t_section (id serial primary key, cid integer not null, label varchar(80) not null, up integer);
create table t_article_section (article integer not null, section integer not null);
create table t_file (id serial primary key, owner_ref integer not null, module varchar(20) not null, object integer not null, name varchar(200) not null, crc bigint);
create table t_invoice (id serial primary key, customer integer not null, order_no integer not null, amount varchar(14) not null, zip_id integer, due varchar(10), items text);
create table t_login_log (uid integer, at integer not null, ip varchar(39) not null, ok smallint not null);
create table t_option (name varchar(80) primary key, value text);
create table t_group (id smallint primary key, label varchar(40) not null);
create table t_user_group (usr integer not null, grp smallint not null, unique (usr, grp));
create table t_queue (id serial primary key, ticket integer, created_by integer, payload text);
