-- The fixed vocabularies of Clinic. Open ones (payment methods, insurance carriers, procedure codes) are texts.

create type active_status as enum ('active', 'inactive');
comment on type active_status is 'Whether a clinic or a provider is in use; an inactive one keeps its history and takes no new work.';

-- The order matters: a role may do everything that the roles before it may do.
create type clinic_role as enum ('viewer', 'staff', 'provider', 'clinic_admin');
comment on type clinic_role is 'What a person may do within one clinic, weakest first; each role includes the ones before it.';

create type provider_type as enum ('dentist', 'hygienist', 'specialist');
comment on type provider_type is 'The profession of a person who treats patients.';

create type share_kind as enum ('metrics', 'financials', 'goals', 'providers', 'reports');
comment on type share_kind is 'What one clinic lets another clinic of its group read.';

create type external_entity as enum ('provider', 'location');
comment on type external_entity is 'The kind of entity that an identifier of another system refers to.';

create type metric_data_type as enum ('currency', 'percentage', 'integer', 'date');
comment on type metric_data_type is 'How the values of a metric are read, shown and aggregated; percentages only as ratio of sums.';

create type metric_category as enum ('financial', 'patient', 'appointment', 'provider', 'treatment');
comment on type metric_category is 'The heading under which a metric is listed.';

create type metric_source as enum ('spreadsheet', 'form');
comment on type metric_source is 'Whether a value was read from a spreadsheet or typed into a form.';

create type time_period as enum ('daily', 'weekly', 'monthly', 'quarterly', 'annual');
comment on type time_period is 'The rhythm of a goal or a report.';

create type aggregation_grain as enum ('day', 'week', 'month', 'quarter', 'year');
comment on type aggregation_grain is 'The length of the period that an aggregation covers; weeks begin on Monday.';

create type sync_status as enum ('active', 'paused', 'error');
comment on type sync_status is 'Whether a spreadsheet is read, paused by a person, or stopped by an error that a person must fix.';

create type widget_type as enum ('chart', 'counter', 'table');
comment on type widget_type is 'How a widget shows its metric.';

create type financial_type as enum ('production', 'collection', 'adjustment', 'refund');
comment on type financial_type is 'What a sum of money is; amounts are signed, whatever their type.';

create type appointment_type as enum ('new_patient', 'recall', 'emergency', 'treatment');
comment on type appointment_type is 'The reason for the visit.';

create type call_type as enum ('hygiene_recall', 'treatment_followup', 'new_patient');
comment on type call_type is 'The reason for the call; conversion is computed for each type separately.';

create type job_status as enum ('queued', 'running', 'done', 'failed');
comment on type job_status is 'The progress of background work.';

create type export_format as enum ('csv', 'xlsx', 'json', 'pdf');
comment on type export_format is 'The kind of file that an export writes.';

create type notification_kind as enum ('goal_at_risk', 'goal_reached', 'sync_failed', 'export_ready', 'report_ready', 'data_warning');
comment on type notification_kind is 'The subject of a notification.';

create type audit_action as enum ('insert', 'update', 'delete', 'read', 'export', 'sign_in');
comment on type audit_action is 'The action on the row or clinic that an entry of the audit log names.';
