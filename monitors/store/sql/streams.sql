-- begin_partition --
-- A partition that this checkpoint has never read begins here; one that it has stays where it is.
insert into monitoring.stream_offsets (checkpoint, partition, next_offset, fingerprint, stream, run_id)
values (%(checkpoint)s, %(partition)s, %(next_offset)s, %(fingerprint)s, %(stream)s, %(run_id)s)
on conflict (checkpoint, partition) do nothing

-- positions --
-- How far these partitions were taken; waits for a batch of them that is being committed.
select partition, next_offset, newest_event_time, fingerprint
from monitoring.stream_offsets
where checkpoint = %(checkpoint)s and partition = any(%(partitions)s)
order by partition
for update

-- known_partitions --
-- How far every partition of a checkpoint was taken, without waiting.
select partition, next_offset, newest_event_time, fingerprint
from monitoring.stream_offsets
where checkpoint = %(checkpoint)s

-- advance --
-- The partition is taken up to here, if nobody took anything of it since it was read.
update monitoring.stream_offsets
set
    next_offset = %(next_offset)s,
    newest_event_time = %(newest_event_time)s,
    fingerprint = %(fingerprint)s,
    updated_at = now(),
    run_id = %(run_id)s
where
    checkpoint = %(checkpoint)s
    and partition = %(partition)s
    and next_offset = %(expected)s

-- add_stream_batch --
-- Which offsets of a partition a delivery holds.
insert into monitoring.stream_batches (
    delivery_id, partition, first_offset, next_offset, first_source_row, records
)
values (
    %(delivery_id)s, %(partition)s, %(first_offset)s, %(next_offset)s, %(first_source_row)s,
    %(records)s
)

-- add_loss --
-- Somebody accepts that what lay between is gone.
insert into monitoring.stream_losses (
    checkpoint, partition, from_offset, to_offset, said, accepted_by, why, run_id
)
values (
    %(checkpoint)s, %(partition)s, %(from_offset)s, %(to_offset)s, %(said)s, %(accepted_by)s,
    %(why)s, %(run_id)s
)

-- times_begun_anew --
-- How often one of these partitions was begun anew, by a loss that somebody accepted.
select count(*)
from monitoring.stream_losses as losses
where
    losses.checkpoint = %(checkpoint)s
    and losses.partition = any(%(partitions)s)
    and losses.to_offset < losses.from_offset

-- put_heartbeat --
-- A consumer lives.
insert into monitoring.stream_heartbeats (
    consumer_id, stream, checkpoint, host, pid, state, partitions, records, lag, run_id
)
values (
    %(consumer_id)s, %(stream)s, %(checkpoint)s, %(host)s, %(pid)s, %(state)s, %(partitions)s,
    %(records)s, %(lag)s, %(run_id)s
)
on conflict (consumer_id) do update set
    state = excluded.state,
    partitions = excluded.partitions,
    records = excluded.records,
    lag = excluded.lag,
    beat_at = now()

-- end_heartbeat --
-- It ended by itself.
delete from monitoring.stream_heartbeats where consumer_id = %(consumer_id)s

-- forget_consumers --
-- Of consumers that were killed long ago nobody wants to know any more.
delete from monitoring.stream_heartbeats
where checkpoint = %(checkpoint)s and beat_at < now() - interval '7 days'

-- put_checkpoint --
-- A checkpoint is known from its first consumer on. One of another stream keeps its name.
insert into monitoring.stream_checkpoints (checkpoint, stream)
values (%(checkpoint)s, %(stream)s)
on conflict (checkpoint) do nothing

-- stream_of_checkpoint --
-- Which stream a checkpoint belongs to.
select stream from monitoring.stream_checkpoints where checkpoint = %(checkpoint)s

-- lock_checkpoint --
-- How far the dead letters were written into the folder; others wait until this is committed.
select exported_delivery_id
from monitoring.stream_checkpoints
where checkpoint = %(checkpoint)s
for update

-- deliveries_to_export --
-- Deliveries of a stream whose dead letters are not in its folder yet.
select deliveries.delivery_id
from monitoring.deliveries as deliveries
where
    deliveries.feed = %(stream)s
    and deliveries.delivery_id > %(after)s
    and deliveries.dead_letters > 0
order by deliveries.delivery_id

-- letters_to_export --
-- The dead letters of one delivery.
select
    letters.dead_letter_id, letters.source_partition, letters.source_offset, letters.reason,
    letters.content, letters.content_bytes, letters.recorded_at
from monitoring.dead_letters as letters
where letters.delivery_id = %(delivery_id)s
order by letters.source_row

-- exported --
-- They are there.
update monitoring.stream_checkpoints
set exported_delivery_id = %(delivery_id)s, updated_at = now()
where checkpoint = %(checkpoint)s
