-- Streams: how far each partition was taken, who reads, what was lost, and what people decided
-- about dead letters. Offsets live here because rows do: one commit holds both.

create table monitoring.stream_offsets (
    checkpoint text not null,
    partition text not null,
    next_offset bigint not null,
    newest_event_time timestamptz,
    fingerprint text,
    stream text not null,
    updated_at timestamptz not null default now(),
    run_id text not null references monitoring.runs (run_id),
    primary key (checkpoint, partition)
);
comment on table monitoring.stream_offsets is 'One row per checkpoint and partition (of a folder: file): everything before next_offset is a row of raw or a dead letter.';
comment on column monitoring.stream_offsets.next_offset is 'The first offset that was not taken; of a file the first byte.';
comment on column monitoring.stream_offsets.newest_event_time is 'The newest event time of the partition: the watermark hangs behind it.';
comment on column monitoring.stream_offsets.fingerprint is 'Of a file: length and hash of its beginning, by which another file of that name is told.';

create table monitoring.stream_batches (
    delivery_id bigint not null references monitoring.deliveries (delivery_id),
    partition text not null,
    first_offset bigint not null,
    next_offset bigint not null,
    first_source_row bigint not null,
    records bigint not null,
    primary key (delivery_id, partition)
);
comment on table monitoring.stream_batches is 'One row per micro-batch and partition in it: which offsets it took, and where their records begin in the delivery.';

create table monitoring.stream_checkpoints (
    checkpoint text primary key,
    stream text not null,
    exported_delivery_id bigint not null default 0,
    updated_at timestamptz not null default now()
);
comment on table monitoring.stream_checkpoints is 'One row per checkpoint. exported_delivery_id: up to this delivery the dead letters are in the folder of dlq_path.';

create table monitoring.stream_heartbeats (
    consumer_id text primary key,
    stream text not null,
    checkpoint text not null,
    host text not null,
    pid integer not null,
    state text not null check (state in ('consuming', 'waiting')),
    partitions integer not null,
    records bigint not null,
    lag bigint,
    started_at timestamptz not null default now(),
    beat_at timestamptz not null default now(),
    run_id text not null references monitoring.runs (run_id)
);
comment on table monitoring.stream_heartbeats is 'One row per consumer that runs, renewed every few seconds. One that ends takes its row away; an old row was killed.';

create table monitoring.stream_losses (
    loss_id bigint generated always as identity primary key,
    checkpoint text not null,
    partition text not null,
    from_offset bigint not null,
    to_offset bigint not null,
    said text not null,
    accepted_by text not null,
    accepted_at timestamptz not null default now(),
    why text not null check (why <> ''),
    run_id text not null references monitoring.runs (run_id)
);
comment on table monitoring.stream_losses is 'One row per loss that somebody accepted: the partition went on at to_offset instead of from_offset.';

alter table monitoring.dead_letters
    add column source_partition text,
    add column source_offset bigint;
comment on column monitoring.dead_letters.source_partition is 'Of a stream: the partition, or the file.';
comment on column monitoring.dead_letters.source_offset is 'Of a stream: its offset there.';

create table monitoring.dead_letter_decisions (
    decision_id bigint generated always as identity primary key,
    -- no foreign key: a purge takes letters, and the decision stays
    dead_letter_id bigint not null unique,
    decision text not null check (decision in ('replayed', 'discarded')),
    replay_delivery_id bigint references monitoring.deliveries (delivery_id),
    decided_by text not null,
    decided_at timestamptz not null default now(),
    why text not null check (why <> ''),
    run_id text not null references monitoring.runs (run_id)
);
comment on table monitoring.dead_letter_decisions is 'One row per dead letter about which somebody decided; append only. A replayed one is a row of the delivery named.';

alter table monitoring.deliveries drop constraint deliveries_extracted_at_from_check;
alter table monitoring.deliveries add constraint deliveries_extracted_at_from_check
    check (extracted_at_from in ('name', 'file time', 'load', 'event time'));
