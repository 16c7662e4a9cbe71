-- Written by make.py: do not edit.
create table organizations (
  id uuid default gen_random_uuid() primary key,
  name text not null,
  billing_email text,
  priority smallint not null default 3,
  deleted_at timestamptz,
  external_id text,
  version integer not null default 1,
  description text,
  quantity integer not null default 0,
  payload text
);
create table users (
  id uuid default gen_random_uuid() primary key,
  email text not null unique,
  password_hash text,
  duration interval,
  amount numeric(12, 2),
  payload text,
  notes text,
  external_id text,
  quantity integer not null default 0,
  weight text,
  description text,
  updated_at timestamp(3)
);
create table memberships (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid not null,
  user_id uuid not null,
  role text not null,
  sequence_no bigint not null,
  tags text[] not null default '{}',
  weight text,
  external_id text
);
create table crm_accounts (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  updated_by uuid,
  tags text[] not null default '{}',
  notes text,
  checksum bytea,
  state text not null,
  color varchar(7),
  ip_address inet,
  title text,
  currency_code char(3),
  updated_at timestamp(3),
  description text
);
create table crm_contacts (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  handled_by uuid,
  updated_by uuid,
  sequence_no bigint not null,
  weight text,
  amount numeric(12, 2),
  external_id text
);
create table crm_leads (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  handled_by uuid,
  link_url text,
  tags text[] not null default '{}',
  currency_code char(3),
  updated_at timestamp(3),
  name text not null,
  is_archived boolean not null default false
);
create table crm_deals (
  id uuid default gen_random_uuid() primary key,
  contact_id uuid,
  details jsonb,
  state text not null,
  tags text[] not null default '{}',
  currency_code char(3),
  notes text,
  title text,
  duration interval,
  reported_at text,
  payload text
);
create table crm_pipelines (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  signed_by uuid,
  link_url text,
  ends_on text,
  zip_id varchar(10),
  amount numeric(12, 2),
  sequence_no bigint not null
);
create table crm_stages (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  handled_by uuid,
  approver uuid,
  state text not null,
  ends_on text,
  duration interval,
  name text not null,
  external_id text,
  priority smallint not null default 3,
  reported_at text
);
create table crm_activities (
  id uuid default gen_random_uuid() primary key,
  lead_id uuid,
  subject_type text,
  subject_id text,
  quantity integer not null default 0,
  weight text,
  color varchar(7),
  external_id text
);
create table crm_campaigns (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  signed_by uuid,
  updated_by uuid,
  source text,
  quantity integer not null default 0,
  name text not null,
  created_at timestamptz not null default now(),
  is_archived boolean not null default false
);
create table crm_segments (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  currency_code char(3),
  country char(2),
  external_id text,
  priority smallint not null default 3,
  checksum bytea,
  sequence_no bigint not null,
  reported_at text,
  confirmed text,
  description text,
  import_ref uuid
);
create table billing_invoices (
  id text primary key,
  organization_id uuid,
  signed_by uuid,
  name text not null,
  priority smallint not null default 3,
  tags text[] not null default '{}',
  starts_on date,
  checksum bytea,
  version integer not null default 1,
  country char(2),
  reported_at text,
  import_ref uuid,
  color varchar(7),
  confirmed text
);
create table billing_invoice_lines (
  id text primary key,
  organization_id uuid,
  reviewer_id uuid,
  name text not null,
  color varchar(7),
  checksum bytea,
  currency_code char(3),
  created_at timestamptz not null default now(),
  country char(2)
);
create table billing_payments (
  id text primary key,
  invoice_line_id text,
  previous_invoice text,
  state text not null,
  zip_id varchar(10),
  title text,
  updated_at timestamp(3),
  duration interval,
  tags text[] not null default '{}',
  quantity integer not null default 0,
  color varchar(7),
  payload text,
  external_id text
);
create table billing_credit_notes (
  id text primary key,
  payment_id text,
  subject_type text,
  subject_id text,
  notes text,
  ip_address inet,
  version integer not null default 1,
  sequence_no bigint not null,
  created_at timestamptz not null default now(),
  starts_on date,
  title text,
  country char(2)
);
create table billing_prices (
  id text primary key,
  payment_id text,
  signed_by uuid,
  previous_invoice_line text,
  confirmed text,
  ends_on text,
  amount numeric(12, 2),
  title text,
  description text,
  updated_at timestamp(3),
  created_at timestamptz not null default now(),
  ip_address inet,
  priority smallint not null default 3,
  country char(2),
  currency_code char(3),
  quantity integer not null default 0,
  weight text
);
create table billing_plans (
  id text primary key,
  organization_id uuid,
  previous_payment text,
  currency_code char(3),
  title text,
  priority smallint not null default 3,
  weight text,
  country char(2),
  name text not null,
  quantity integer not null default 0,
  created_at timestamptz not null default now(),
  color varchar(7),
  external_id text,
  amount numeric(12, 2),
  ip_address inet,
  description text,
  deleted_at timestamptz
);
create table billing_usages (
  id text primary key,
  organization_id uuid,
  details jsonb,
  notes text,
  color varchar(7),
  confirmed text,
  zip_id varchar(10),
  is_archived boolean not null default false,
  deleted_at timestamptz,
  quantity integer not null default 0,
  checksum bytea,
  amount numeric(12, 2),
  starts_on date,
  version integer not null default 1,
  tags text[] not null default '{}'
);
create table billing_tax_rules (
  id text primary key,
  organization_id uuid,
  handled_by uuid,
  previous_invoice text,
  import_ref uuid,
  notes text,
  title text,
  quantity integer not null default 0,
  amount numeric(12, 2),
  state text not null,
  confirmed text,
  duration interval,
  deleted_at timestamptz
);
create table billing_dunnings (
  id text primary key,
  organization_id uuid,
  details jsonb,
  currency_code char(3),
  duration interval,
  checksum bytea,
  created_at timestamptz not null default now(),
  description text,
  confirmed text
);
create table hr_employees (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  amount numeric(12, 2),
  title text,
  country char(2),
  created_at timestamptz not null default now(),
  updated_at timestamp(3),
  is_archived boolean not null default false
);
create table hr_positions (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  tags text[] not null default '{}',
  reported_at text,
  title text,
  currency_code char(3),
  country char(2),
  updated_at timestamp(3),
  is_archived boolean not null default false,
  priority smallint not null default 3,
  import_ref uuid,
  zip_id varchar(10),
  amount numeric(12, 2),
  sequence_no bigint not null,
  state text not null,
  created_at timestamptz not null default now(),
  version integer not null default 1
);
create table hr_contracts (
  id bigint generated by default as identity primary key,
  employee_id bigint,
  updated_by uuid,
  details jsonb,
  version integer not null default 1,
  ends_on text,
  quantity integer not null default 0,
  checksum bytea,
  updated_at timestamp(3)
);
create table hr_absences (
  id bigint generated by default as identity primary key,
  position_id bigint,
  manager_id uuid,
  details jsonb,
  updated_at timestamp(3),
  amount numeric(12, 2),
  currency_code char(3),
  ip_address inet,
  ends_on text,
  payload text,
  weight text,
  state text not null,
  duration interval
);
create table hr_payslips (
  id bigint generated by default as identity primary key,
  position_id bigint,
  approver uuid,
  employee_ids bigint[] not null default '{}',
  country char(2),
  amount numeric(12, 2),
  title text,
  starts_on date,
  currency_code char(3),
  color varchar(7),
  created_at timestamptz not null default now()
);
create table hr_reviews (
  id bigint generated by default as identity primary key,
  absence_id bigint,
  handled_by uuid,
  details jsonb,
  state text not null,
  ip_address inet,
  import_ref uuid,
  country char(2),
  external_id text,
  tags text[] not null default '{}',
  sequence_no bigint not null,
  duration interval,
  confirmed text,
  is_archived boolean not null default false
);
create table hr_goals (
  id bigint generated by default as identity primary key,
  review_id bigint,
  contract_ids bigint[] not null default '{}',
  confirmed text,
  zip_id varchar(10),
  external_id text,
  is_archived boolean not null default false,
  payload text,
  duration interval,
  ends_on text,
  updated_at timestamp(3),
  version integer not null default 1,
  notes text
);
create table hr_trainings (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  updated_by uuid,
  source text,
  ip_address inet,
  tags text[] not null default '{}',
  country char(2),
  color varchar(7),
  weight text,
  amount numeric(12, 2),
  starts_on date,
  updated_at timestamp(3),
  priority smallint not null default 3,
  notes text,
  description text,
  ends_on text
);
create table hr_certificates (
  id bigint generated by default as identity primary key,
  review_id bigint,
  approver uuid,
  details jsonb,
  state text not null,
  priority smallint not null default 3,
  title text,
  updated_at timestamp(3),
  country char(2),
  amount numeric(12, 2),
  import_ref uuid,
  is_archived boolean not null default false,
  currency_code char(3),
  duration interval,
  starts_on date,
  confirmed text
);
create table stock_warehouses (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  owner uuid,
  manager_id uuid,
  notes text,
  starts_on date,
  color varchar(7),
  is_archived boolean not null default false,
  payload text,
  deleted_at timestamptz,
  amount numeric(12, 2),
  created_at timestamptz not null default now(),
  ends_on text,
  title text
);
create table stock_bins (
  id bigint generated by default as identity primary key,
  warehouse_id bigint,
  handled_by uuid,
  updated_at timestamp(3),
  zip_id varchar(10),
  ip_address inet,
  reported_at text,
  duration interval,
  tags text[] not null default '{}'
);
create table stock_products (
  id bigint generated by default as identity primary key,
  bin_id bigint,
  manager_id uuid,
  source text,
  created_at timestamptz not null default now(),
  ip_address inet,
  title text,
  version integer not null default 1,
  checksum bytea,
  is_archived boolean not null default false,
  import_ref uuid,
  deleted_at timestamptz,
  updated_at timestamp(3),
  notes text,
  weight text,
  name text not null
);
create table stock_lots (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  link_url text,
  ends_on text,
  is_archived boolean not null default false,
  starts_on date,
  checksum bytea,
  confirmed text,
  version integer not null default 1,
  external_id text,
  notes text,
  name text not null,
  zip_id varchar(10),
  currency_code char(3),
  import_ref uuid
);
create table stock_movements (
  id bigint generated by default as identity primary key,
  product_id bigint,
  requested_by uuid,
  signed_by uuid,
  source text,
  import_ref uuid,
  amount numeric(12, 2),
  quantity integer not null default 0,
  payload text,
  sequence_no bigint not null,
  starts_on date,
  country char(2),
  title text,
  currency_code char(3),
  description text,
  color varchar(7),
  notes text,
  state text not null
);
create table stock_counts (
  id bigint generated by default as identity primary key,
  lot_id bigint,
  subject_type text,
  subject_id text,
  version integer not null default 1,
  confirmed text,
  payload text,
  country char(2),
  notes text,
  created_at timestamptz not null default now()
);
create table stock_transfers (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  requested_by uuid,
  reviewer_id uuid,
  tags text[] not null default '{}',
  state text not null,
  quantity integer not null default 0,
  import_ref uuid,
  priority smallint not null default 3,
  ends_on text,
  title text
);
create table stock_suppliers (
  id bigint generated by default as identity primary key,
  lot_id bigint,
  assignee uuid,
  warehouse_ids bigint[] not null default '{}',
  external_id text,
  duration interval,
  priority smallint not null default 3,
  currency_code char(3),
  checksum bytea,
  country char(2),
  description text
);
create table stock_purchases (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  handled_by uuid,
  movement_ids bigint[] not null default '{}',
  import_ref uuid,
  duration interval,
  starts_on date,
  checksum bytea,
  created_at timestamptz not null default now(),
  tags text[] not null default '{}',
  name text not null
);
create table work_projects (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  approver uuid,
  requested_by uuid,
  title text,
  sequence_no bigint not null,
  ends_on text,
  duration interval
);
create table work_milestones (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  name text not null,
  tags text[] not null default '{}',
  import_ref uuid,
  is_archived boolean not null default false,
  ends_on text,
  color varchar(7),
  payload text,
  updated_at timestamp(3),
  description text,
  title text,
  external_id text,
  notes text
);
create table work_tasks (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  handled_by uuid,
  subject_type text,
  subject_id text,
  starts_on date,
  deleted_at timestamptz,
  title text,
  tags text[] not null default '{}',
  confirmed text,
  created_at timestamptz not null default now(),
  import_ref uuid,
  ip_address inet
);
create table work_checklists (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  owner uuid,
  signed_by uuid,
  link_url text,
  name text not null,
  state text not null,
  color varchar(7),
  zip_id varchar(10),
  starts_on date,
  import_ref uuid,
  deleted_at timestamptz,
  updated_at timestamp(3),
  amount numeric(12, 2)
);
create table work_timesheets (
  id uuid default gen_random_uuid() primary key,
  checklist_id uuid,
  details jsonb,
  checksum bytea,
  name text not null,
  starts_on date,
  updated_at timestamp(3),
  priority smallint not null default 3,
  confirmed text,
  country char(2),
  color varchar(7),
  weight text,
  notes text,
  payload text
);
create table work_estimates (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  source text,
  description text,
  zip_id varchar(10),
  amount numeric(12, 2),
  external_id text,
  confirmed text,
  ends_on text,
  country char(2)
);
create table work_risks (
  id uuid default gen_random_uuid() primary key,
  estimate_id uuid,
  requested_by uuid,
  signed_by uuid,
  details jsonb,
  color varchar(7),
  import_ref uuid,
  confirmed text,
  state text not null
);
create table work_decisions (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  signed_by uuid,
  owner uuid,
  description text,
  external_id text,
  priority smallint not null default 3,
  country char(2),
  confirmed text,
  ip_address inet,
  import_ref uuid,
  state text not null,
  payload text
);
create table work_sprints (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  approver uuid,
  handled_by uuid,
  subject_type text,
  subject_id text,
  created_at timestamptz not null default now(),
  duration interval,
  priority smallint not null default 3
);
create table help_tickets (
  id text primary key,
  organization_id uuid,
  owner uuid,
  country char(2),
  sequence_no bigint not null,
  updated_at timestamp(3),
  color varchar(7),
  starts_on date,
  weight text,
  created_at timestamptz not null default now(),
  notes text,
  checksum bytea
);
create table help_replies (
  id text primary key,
  organization_id uuid,
  requested_by uuid,
  confirmed text,
  country char(2),
  version integer not null default 1,
  priority smallint not null default 3,
  sequence_no bigint not null,
  amount numeric(12, 2),
  reported_at text,
  checksum bytea,
  duration interval,
  notes text,
  weight text
);
create table help_macros (
  id text primary key,
  reply_id text,
  ticket_ids text[] not null default '{}',
  currency_code char(3),
  duration interval,
  version integer not null default 1,
  updated_at timestamp(3),
  name text not null,
  created_at timestamptz not null default now(),
  sequence_no bigint not null,
  amount numeric(12, 2),
  checksum bytea,
  import_ref uuid,
  weight text,
  reported_at text,
  confirmed text,
  quantity integer not null default 0
);
create table help_queues (
  id text primary key,
  organization_id uuid,
  source text,
  country char(2),
  checksum bytea,
  confirmed text,
  updated_at timestamp(3),
  notes text,
  deleted_at timestamptz
);
create table help_articles (
  id text primary key,
  organization_id uuid,
  reviewer_id uuid,
  signed_by uuid,
  details jsonb,
  confirmed text,
  weight text,
  country char(2),
  reported_at text,
  amount numeric(12, 2),
  currency_code char(3),
  sequence_no bigint not null,
  deleted_at timestamptz,
  payload text,
  checksum bytea,
  quantity integer not null default 0,
  name text not null
);
create table help_feedbacks (
  id text primary key,
  article_id text,
  handled_by uuid,
  approver uuid,
  quantity integer not null default 0,
  priority smallint not null default 3,
  updated_at timestamp(3),
  is_archived boolean not null default false,
  name text not null,
  deleted_at timestamptz,
  description text,
  created_at timestamptz not null default now(),
  payload text,
  checksum bytea,
  notes text,
  reported_at text,
  country char(2)
);
create table help_surveys (
  id text primary key,
  queue_id text,
  previous_feedback text,
  starts_on date,
  is_archived boolean not null default false,
  tags text[] not null default '{}',
  import_ref uuid,
  duration interval,
  amount numeric(12, 2),
  currency_code char(3),
  description text,
  notes text,
  color varchar(7),
  weight text,
  sequence_no bigint not null,
  country char(2),
  checksum bytea,
  payload text
);
create table help_escalations (
  id text primary key,
  organization_id uuid,
  created_by uuid,
  source text,
  ip_address inet,
  name text not null,
  reported_at text,
  currency_code char(3)
);
create table help_agents (
  id text primary key,
  organization_id uuid,
  details jsonb,
  updated_at timestamp(3),
  version integer not null default 1,
  ip_address inet,
  description text,
  reported_at text,
  country char(2),
  color varchar(7),
  external_id text
);
create table fleet_vehicles (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  external_id text,
  color varchar(7),
  checksum bytea,
  starts_on date,
  confirmed text,
  sequence_no bigint not null,
  description text,
  deleted_at timestamptz,
  payload text,
  amount numeric(12, 2),
  state text not null,
  version integer not null default 1,
  updated_at timestamp(3),
  is_archived boolean not null default false
);
create table fleet_drivers (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  title text,
  payload text,
  updated_at timestamp(3),
  color varchar(7),
  notes text,
  external_id text,
  currency_code char(3),
  tags text[] not null default '{}',
  weight text,
  deleted_at timestamptz,
  import_ref uuid,
  quantity integer not null default 0
);
create table fleet_trips (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  subject_type text,
  subject_id text,
  starts_on date,
  priority smallint not null default 3,
  updated_at timestamp(3),
  sequence_no bigint not null,
  external_id text,
  state text not null
);
create table fleet_fuel_stops (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  requested_by uuid,
  subject_type text,
  subject_id text,
  reported_at text,
  name text not null,
  weight text,
  created_at timestamptz not null default now(),
  checksum bytea
);
create table fleet_inspections (
  id bigint generated by default as identity primary key,
  driver_id bigint,
  subject_type text,
  subject_id text,
  created_at timestamptz not null default now(),
  ends_on text,
  tags text[] not null default '{}',
  name text not null,
  notes text,
  version integer not null default 1,
  priority smallint not null default 3,
  quantity integer not null default 0,
  country char(2),
  amount numeric(12, 2),
  duration interval,
  deleted_at timestamptz
);
create table fleet_repairs (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  created_by uuid,
  details jsonb,
  currency_code char(3),
  import_ref uuid,
  zip_id varchar(10),
  notes text,
  checksum bytea,
  updated_at timestamp(3),
  quantity integer not null default 0
);
create table fleet_tyres (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  driver_ids bigint[] not null default '{}',
  description text,
  currency_code char(3),
  payload text,
  quantity integer not null default 0,
  color varchar(7),
  updated_at timestamp(3),
  zip_id varchar(10),
  created_at timestamptz not null default now(),
  sequence_no bigint not null,
  priority smallint not null default 3,
  version integer not null default 1,
  external_id text,
  checksum bytea
);
create table fleet_routes (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  updated_by uuid,
  details jsonb,
  sequence_no bigint not null,
  notes text,
  tags text[] not null default '{}',
  quantity integer not null default 0,
  amount numeric(12, 2),
  title text,
  is_archived boolean not null default false,
  priority smallint not null default 3,
  checksum bytea,
  starts_on date,
  description text,
  ip_address inet
);
create table fleet_tolls (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  reviewer_id uuid,
  link_url text,
  country char(2),
  import_ref uuid,
  is_archived boolean not null default false,
  deleted_at timestamptz,
  notes text,
  sequence_no bigint not null,
  confirmed text,
  starts_on date,
  external_id text,
  weight text,
  payload text,
  ends_on text,
  updated_at timestamp(3)
);
create table docs_folders (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  created_by uuid,
  updated_by uuid,
  description text,
  country char(2),
  currency_code char(3),
  zip_id varchar(10),
  created_at timestamptz not null default now(),
  state text not null,
  ends_on text,
  ip_address inet,
  notes text,
  quantity integer not null default 0,
  sequence_no bigint not null,
  weight text,
  updated_at timestamp(3)
);
create table docs_documents (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  country char(2),
  is_archived boolean not null default false,
  weight text,
  duration interval,
  quantity integer not null default 0,
  external_id text,
  version integer not null default 1,
  zip_id varchar(10),
  confirmed text,
  description text,
  notes text,
  amount numeric(12, 2),
  title text
);
create table docs_versions (
  id uuid default gen_random_uuid() primary key,
  document_id uuid,
  created_at timestamptz not null default now(),
  description text,
  tags text[] not null default '{}',
  currency_code char(3),
  title text,
  checksum bytea,
  version integer not null default 1
);
create table docs_annotations (
  id uuid default gen_random_uuid() primary key,
  document_id uuid,
  updated_by uuid,
  source text,
  color varchar(7),
  name text not null,
  confirmed text,
  quantity integer not null default 0,
  deleted_at timestamptz,
  checksum bytea
);
create table docs_templates (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  link_url text,
  checksum bytea,
  tags text[] not null default '{}',
  color varchar(7),
  version integer not null default 1,
  notes text,
  confirmed text,
  priority smallint not null default 3,
  is_archived boolean not null default false,
  weight text,
  updated_at timestamp(3)
);
create table docs_signatures (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  manager_id uuid,
  link_url text,
  currency_code char(3),
  checksum bytea,
  import_ref uuid,
  ip_address inet,
  confirmed text,
  is_archived boolean not null default false
);
create table docs_shares (
  id uuid default gen_random_uuid() primary key,
  organization_id uuid,
  created_by uuid,
  details jsonb,
  sequence_no bigint not null,
  updated_at timestamp(3),
  reported_at text,
  currency_code char(3),
  tags text[] not null default '{}'
);
create table docs_retentions (
  id uuid default gen_random_uuid() primary key,
  folder_id uuid,
  approver uuid,
  previous_share uuid,
  notes text,
  is_archived boolean not null default false,
  updated_at timestamp(3),
  amount numeric(12, 2),
  sequence_no bigint not null,
  description text,
  ends_on text,
  version integer not null default 1,
  import_ref uuid,
  priority smallint not null default 3
);
create table docs_exports (
  id uuid default gen_random_uuid() primary key,
  annotation_id uuid,
  reviewer_id uuid,
  assignee uuid,
  details jsonb,
  sequence_no bigint not null,
  created_at timestamptz not null default now(),
  color varchar(7)
);
create table site_buildings (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  import_ref uuid,
  payload text,
  checksum bytea,
  zip_id varchar(10),
  starts_on date,
  deleted_at timestamptz,
  updated_at timestamp(3),
  weight text,
  name text not null,
  reported_at text
);
create table site_floors (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  approver uuid,
  payload text,
  tags text[] not null default '{}',
  amount numeric(12, 2),
  external_id text,
  state text not null,
  reported_at text,
  version integer not null default 1,
  confirmed text,
  updated_at timestamp(3),
  priority smallint not null default 3,
  color varchar(7),
  ends_on text
);
create table site_rooms (
  id bigint generated by default as identity primary key,
  building_id bigint,
  approver uuid,
  source text,
  external_id text,
  notes text,
  updated_at timestamp(3),
  import_ref uuid,
  title text,
  starts_on date,
  amount numeric(12, 2),
  description text,
  payload text,
  state text not null,
  zip_id varchar(10),
  country char(2),
  currency_code char(3)
);
create table site_bookings (
  id bigint generated by default as identity primary key,
  room_id bigint,
  created_by uuid,
  reviewer_id uuid,
  duration interval,
  quantity integer not null default 0,
  description text,
  created_at timestamptz not null default now(),
  confirmed text,
  sequence_no bigint not null,
  checksum bytea,
  tags text[] not null default '{}'
);
create table site_sensors (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  handled_by uuid,
  source text,
  reported_at text,
  checksum bytea,
  state text not null,
  import_ref uuid,
  duration interval
);
create table site_meters (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  created_by uuid,
  sensor_ids bigint[] not null default '{}',
  version integer not null default 1,
  payload text,
  currency_code char(3),
  priority smallint not null default 3,
  import_ref uuid,
  duration interval,
  checksum bytea,
  external_id text
);
create table site_outages (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  reviewer_id uuid,
  approver uuid,
  previous_building bigint,
  tags text[] not null default '{}',
  reported_at text,
  is_archived boolean not null default false,
  name text not null,
  payload text,
  created_at timestamptz not null default now()
);
create table site_visits (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  created_by uuid,
  assignee uuid,
  room_ids bigint[] not null default '{}',
  notes text,
  sequence_no bigint not null,
  quantity integer not null default 0,
  ip_address inet,
  amount numeric(12, 2),
  description text
);
create table site_keycards (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  assignee uuid,
  reviewer_id uuid,
  source text,
  is_archived boolean not null default false,
  starts_on date,
  state text not null,
  deleted_at timestamptz,
  tags text[] not null default '{}',
  import_ref uuid,
  ends_on text,
  quantity integer not null default 0,
  title text,
  zip_id varchar(10),
  currency_code char(3),
  ip_address inet,
  updated_at timestamp(3)
);
create table shop_catalogs (
  id text primary key,
  organization_id uuid,
  description text,
  external_id text,
  import_ref uuid,
  sequence_no bigint not null,
  color varchar(7),
  deleted_at timestamptz,
  duration interval,
  checksum bytea
);
create table shop_items (
  id text primary key,
  catalog_id text,
  manager_id uuid,
  duration interval,
  name text not null,
  color varchar(7),
  ends_on text,
  title text
);
create table shop_variants (
  id text primary key,
  item_id text,
  source text,
  priority smallint not null default 3,
  version integer not null default 1,
  country char(2),
  is_archived boolean not null default false,
  duration interval,
  ends_on text,
  checksum bytea,
  quantity integer not null default 0,
  updated_at timestamp(3),
  payload text,
  color varchar(7),
  external_id text
);
create table shop_baskets (
  id text primary key,
  catalog_id text,
  reviewer_id uuid,
  source text,
  weight text,
  deleted_at timestamptz,
  state text not null,
  external_id text,
  priority smallint not null default 3,
  confirmed text,
  reported_at text,
  starts_on date,
  amount numeric(12, 2)
);
create table shop_checkouts (
  id text primary key,
  organization_id uuid,
  subject_type text,
  subject_id text,
  currency_code char(3),
  updated_at timestamp(3),
  version integer not null default 1,
  priority smallint not null default 3,
  confirmed text,
  amount numeric(12, 2),
  payload text,
  tags text[] not null default '{}',
  state text not null
);
create table shop_shipments (
  id text primary key,
  organization_id uuid,
  requested_by uuid,
  updated_by uuid,
  name text not null,
  priority smallint not null default 3,
  starts_on date,
  duration interval,
  color varchar(7),
  created_at timestamptz not null default now(),
  weight text
);
create table shop_return_cases (
  id text primary key,
  organization_id uuid,
  variant_ids text[] not null default '{}',
  updated_at timestamp(3),
  import_ref uuid,
  tags text[] not null default '{}',
  quantity integer not null default 0,
  ip_address inet,
  external_id text,
  notes text,
  state text not null,
  confirmed text
);
create table shop_vouchers (
  id text primary key,
  checkout_id text,
  subject_type text,
  subject_id text,
  import_ref uuid,
  zip_id varchar(10),
  color varchar(7),
  starts_on date,
  version integer not null default 1,
  state text not null,
  created_at timestamptz not null default now()
);
create table shop_wishlists (
  id text primary key,
  organization_id uuid,
  link_url text,
  country char(2),
  currency_code char(3),
  title text,
  amount numeric(12, 2),
  sequence_no bigint not null,
  payload text,
  zip_id varchar(10),
  starts_on date,
  description text,
  duration interval,
  color varchar(7),
  checksum bytea
);
create table countries (
  id char(2) primary key,
  name text not null,
  deleted_at timestamptz,
  is_archived boolean not null default false
);
create table currencies (
  id char(3) primary key,
  name text not null,
  deleted_at timestamptz,
  notes text
);
create table audit_events (
  id bigint generated by default as identity primary key,
  organization_id uuid,
  actor text,
  checksum bytea,
  amount numeric(12, 2),
  currency_code char(3),
  sequence_no bigint not null,
  created_at timestamptz not null default now(),
  notes text,
  title text,
  starts_on date,
  state text not null
);
create table sessions (
  id text primary key,
  token text not null unique,
  user_id uuid,
  tags text[] not null default '{}',
  ip_address inet,
  state text not null,
  color varchar(7),
  priority smallint not null default 3
);
create table schema_versions (
  id bigint generated by default as identity primary key,
  script text not null,
  installed_on timestamptz not null,
  reported_at text
);
create table job_queue (
  id bigint generated by default as identity primary key,
  handler text not null,
  attempts integer not null,
  weight text,
  currency_code char(3),
  zip_id varchar(10),
  payload text,
  deleted_at timestamptz,
  tags text[] not null default '{}'
);
create table feature_flags (
  id text primary key,
  name text not null unique,
  enabled boolean not null,
  currency_code char(3),
  title text,
  ip_address inet
);
alter table memberships add foreign key (organization_id) references organizations;
alter table memberships add foreign key (user_id) references users;
alter table crm_accounts add foreign key (organization_id) references organizations;
alter table crm_contacts add foreign key (organization_id) references organizations;
alter table crm_contacts add foreign key (handled_by) references users;
create index on crm_leads (organization_id);
create index on crm_deals (contact_id);
create index on crm_pipelines (organization_id);
alter table crm_pipelines add foreign key (signed_by) references users;
alter table crm_stages add foreign key (organization_id) references organizations;
alter table crm_stages add foreign key (approver) references users;
alter table crm_activities add foreign key (lead_id) references crm_leads;
alter table crm_campaigns add foreign key (organization_id) references organizations;
alter table crm_campaigns add foreign key (updated_by) references users;
alter table crm_segments add foreign key (organization_id) references organizations;
alter table crm_segments add foreign key (currency_code) references currencies;
alter table billing_invoices add foreign key (organization_id) references organizations;
alter table billing_invoices add foreign key (signed_by) references users;
alter table billing_invoice_lines add foreign key (organization_id) references organizations;
create index on billing_invoice_lines (reviewer_id);
alter table billing_invoice_lines add foreign key (currency_code) references currencies;
create index on billing_payments (invoice_line_id);
alter table billing_credit_notes add foreign key (payment_id) references billing_payments;
create index on billing_prices (payment_id);
alter table billing_prices add foreign key (currency_code) references currencies;
create index on billing_plans (organization_id);
alter table billing_plans add foreign key (currency_code) references currencies;
alter table billing_usages add foreign key (organization_id) references organizations;
alter table billing_tax_rules add foreign key (organization_id) references organizations;
alter table billing_tax_rules add foreign key (handled_by) references users;
alter table billing_dunnings add foreign key (organization_id) references organizations;
alter table hr_employees add foreign key (organization_id) references organizations;
alter table hr_positions add foreign key (organization_id) references organizations;
create index on hr_contracts (employee_id);
alter table hr_contracts add foreign key (updated_by) references users;
create index on hr_absences (position_id);
create index on hr_absences (manager_id);
alter table hr_payslips add foreign key (position_id) references hr_positions;
create index on hr_reviews (absence_id);
alter table hr_goals add foreign key (review_id) references hr_reviews;
alter table hr_trainings add foreign key (organization_id) references organizations;
alter table hr_trainings add foreign key (updated_by) references users;
alter table hr_certificates add foreign key (review_id) references hr_reviews;
alter table hr_certificates add foreign key (currency_code) references currencies;
alter table stock_warehouses add foreign key (organization_id) references organizations;
alter table stock_warehouses add foreign key (owner) references users;
create index on stock_warehouses (manager_id);
create index on stock_bins (warehouse_id);
alter table stock_products add foreign key (bin_id) references stock_bins;
create index on stock_products (manager_id);
alter table stock_lots add foreign key (organization_id) references organizations;
alter table stock_lots add foreign key (currency_code) references currencies;
alter table stock_movements add foreign key (product_id) references stock_products;
alter table stock_counts add foreign key (lot_id) references stock_lots;
create index on stock_transfers (organization_id);
create index on stock_transfers (reviewer_id);
create index on stock_suppliers (lot_id);
alter table stock_suppliers add foreign key (country) references countries;
create index on stock_purchases (organization_id);
alter table stock_purchases add foreign key (handled_by) references users;
alter table work_projects add foreign key (organization_id) references organizations;
create index on work_milestones (organization_id);
alter table work_tasks add foreign key (organization_id) references organizations;
alter table work_tasks add foreign key (handled_by) references users;
create index on work_checklists (organization_id);
alter table work_checklists add foreign key (signed_by) references users;
alter table work_timesheets add foreign key (checklist_id) references work_checklists;
create index on work_estimates (organization_id);
alter table work_estimates add foreign key (country) references countries;
alter table work_risks add foreign key (estimate_id) references work_estimates;
alter table work_decisions add foreign key (organization_id) references organizations;
alter table work_decisions add foreign key (signed_by) references users;
alter table work_sprints add foreign key (organization_id) references organizations;
alter table work_sprints add foreign key (handled_by) references users;
alter table help_tickets add foreign key (organization_id) references organizations;
alter table help_tickets add foreign key (owner) references users;
create index on help_replies (organization_id);
alter table help_macros add foreign key (reply_id) references help_replies;
alter table help_macros add foreign key (currency_code) references currencies;
alter table help_queues add foreign key (organization_id) references organizations;
alter table help_queues add foreign key (country) references countries;
alter table help_articles add foreign key (organization_id) references organizations;
create index on help_articles (reviewer_id);
alter table help_feedbacks add foreign key (article_id) references help_articles;
alter table help_feedbacks add foreign key (approver) references users;
alter table help_feedbacks add foreign key (country) references countries;
create index on help_surveys (queue_id);
alter table help_surveys add foreign key (country) references countries;
alter table help_escalations add foreign key (organization_id) references organizations;
alter table help_escalations add foreign key (created_by) references users;
alter table help_escalations add foreign key (currency_code) references currencies;
create index on help_agents (organization_id);
alter table help_agents add foreign key (country) references countries;
alter table fleet_vehicles add foreign key (organization_id) references organizations;
alter table fleet_drivers add foreign key (organization_id) references organizations;
alter table fleet_drivers add foreign key (currency_code) references currencies;
alter table fleet_trips add foreign key (organization_id) references organizations;
create index on fleet_fuel_stops (organization_id);
alter table fleet_inspections add foreign key (driver_id) references fleet_drivers;
alter table fleet_repairs add foreign key (organization_id) references organizations;
alter table fleet_repairs add foreign key (created_by) references users;
alter table fleet_tyres add foreign key (organization_id) references organizations;
alter table fleet_routes add foreign key (organization_id) references organizations;
alter table fleet_tolls add foreign key (organization_id) references organizations;
create index on fleet_tolls (reviewer_id);
alter table docs_folders add foreign key (organization_id) references organizations;
alter table docs_folders add foreign key (created_by) references users;
alter table docs_folders add foreign key (currency_code) references currencies;
create index on docs_documents (organization_id);
alter table docs_versions add foreign key (document_id) references docs_documents;
alter table docs_annotations add foreign key (document_id) references docs_documents;
alter table docs_annotations add foreign key (updated_by) references users;
create index on docs_templates (organization_id);
alter table docs_signatures add foreign key (organization_id) references organizations;
alter table docs_signatures add foreign key (manager_id) references users;
create index on docs_shares (organization_id);
alter table docs_shares add foreign key (created_by) references users;
alter table docs_shares add foreign key (currency_code) references currencies;
create index on docs_retentions (folder_id);
alter table docs_retentions add foreign key (approver) references users;
alter table docs_exports add foreign key (annotation_id) references docs_annotations;
create index on docs_exports (reviewer_id);
alter table site_buildings add foreign key (organization_id) references organizations;
create index on site_floors (organization_id);
alter table site_rooms add foreign key (building_id) references site_buildings;
create index on site_bookings (room_id);
alter table site_bookings add foreign key (reviewer_id) references users;
create index on site_sensors (organization_id);
alter table site_sensors add foreign key (handled_by) references users;
create index on site_meters (organization_id);
create index on site_outages (organization_id);
create index on site_outages (reviewer_id);
alter table site_visits add foreign key (organization_id) references organizations;
alter table site_visits add foreign key (created_by) references users;
create index on site_keycards (organization_id);
alter table site_keycards add foreign key (reviewer_id) references users;
alter table site_keycards add foreign key (currency_code) references currencies;
alter table shop_catalogs add foreign key (organization_id) references organizations;
alter table shop_items add foreign key (catalog_id) references shop_catalogs;
alter table shop_items add foreign key (manager_id) references users;
create index on shop_variants (item_id);
alter table shop_baskets add foreign key (catalog_id) references shop_catalogs;
create index on shop_baskets (reviewer_id);
alter table shop_checkouts add foreign key (organization_id) references organizations;
alter table shop_checkouts add foreign key (currency_code) references currencies;
create index on shop_shipments (organization_id);
alter table shop_shipments add foreign key (requested_by) references users;
alter table shop_return_cases add foreign key (organization_id) references organizations;
alter table shop_vouchers add foreign key (checkout_id) references shop_checkouts;
alter table shop_wishlists add foreign key (organization_id) references organizations;
alter table shop_wishlists add foreign key (currency_code) references currencies;
create index on audit_events (organization_id);
alter table audit_events add foreign key (currency_code) references currencies;
alter table sessions add foreign key (user_id) references users;
alter table job_queue add foreign key (currency_code) references currencies;
