-- Decisions name the cell where a cell was rejected, and the act of which they are a part.

alter table quarantine.decisions
    add column item text not null default '',
    add column batch_id bigint not null default 0,
    add column run_id text references monitoring.runs (run_id);
alter table quarantine.decisions alter column batch_id drop default;
comment on column quarantine.decisions.item is 'The column, where a cell is meant; else blank.';
comment on column quarantine.decisions.batch_id is 'One number per command, feed and grain: models take a replay as a whole, as they take a delivery.';

create sequence quarantine.batches;

drop index quarantine.decisions_by_row;
create index decisions_by_row on quarantine.decisions (source, delivery_id, source_row, item, decision_id);
create index decisions_replayed on quarantine.decisions (source, batch_id) where decision = 'replayed';

alter table monitoring.scd2_extracts add column replay_id bigint;
comment on column monitoring.scd2_extracts.replay_id is 'The newest replay of a row of the extract that the dimension has taken in.';
