reset role;
create schema pgmq;
grant usage on schema pgmq to authenticated;
create table pgmq.q_mails (msg_id bigint generated always as identity, message jsonb not null);
alter table pgmq.q_mails enable row level security;
grant select, insert on pgmq.q_mails to authenticated;
