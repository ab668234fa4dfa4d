-- A delivery that is let through is as new to tests as one that has just arrived.

alter table monitoring.deliveries add column let_through_at timestamptz;
comment on column monitoring.deliveries.let_through_at is 'When somebody let it through; null for most.';
