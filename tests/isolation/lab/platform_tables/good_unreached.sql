reset role;
create schema pgmq;
grant usage on schema pgmq to authenticated;
create table pgmq.q_mails (msg_id bigint generated always as identity, message jsonb not null);
