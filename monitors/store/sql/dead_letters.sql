-- dead_letter_groups --
-- Dead letters by feed, delivery and kind of reason: what stands before its first colon.
select
    letters.feed,
    coalesce(decisions.decision, 'open') as decision,
    split_part(letters.reason, ':', 1) as reason,
    letters.delivery_id,
    letters.name,
    min(letters.recorded_at) as since,
    count(*) as letters,
    min(letters.dead_letter_id) as example
from monitoring.dead_letters as letters
left join monitoring.dead_letter_decisions as decisions
    on letters.dead_letter_id = decisions.dead_letter_id
where
    (%(feed)s::text is null or letters.feed = %(feed)s)
    and (%(delivery)s::bigint is null or letters.delivery_id = %(delivery)s)
    and (%(letter)s::bigint is null or letters.dead_letter_id = %(letter)s)
    and (%(reason)s::text is null or starts_with(letters.reason, %(reason)s))
    and (%(decision)s::text is null or coalesce(decisions.decision, 'open') = %(decision)s)
group by letters.feed, 2, 3, letters.delivery_id, letters.name
order by letters.feed, letters.delivery_id desc, count(*) desc, 3

-- dead_letter --
-- One of them, and what was decided about it.
select
    letters.dead_letter_id,
    letters.feed,
    letters.delivery_id,
    letters.name,
    letters.source_row,
    letters.line,
    letters.reason,
    letters.content,
    letters.content_bytes,
    letters.source_partition,
    letters.source_offset,
    letters.recorded_at,
    decisions.decision,
    decisions.decided_by,
    decisions.decided_at,
    decisions.why,
    decisions.replay_delivery_id
from monitoring.dead_letters as letters
left join monitoring.dead_letter_decisions as decisions
    on letters.dead_letter_id = decisions.dead_letter_id
where letters.dead_letter_id = %(letter)s

-- feeds_with_dead_letters --
-- Which feeds have open ones among the chosen.
select distinct letters.feed
from monitoring.dead_letters as letters
where
    (%(feed)s::text is null or letters.feed = %(feed)s)
    and (%(delivery)s::bigint is null or letters.delivery_id = %(delivery)s)
    and (%(letter)s::bigint is null or letters.dead_letter_id = %(letter)s)
    and (%(reason)s::text is null or starts_with(letters.reason, %(reason)s))
    and not exists (
        select 1
        from monitoring.dead_letter_decisions as decisions
        where decisions.dead_letter_id = letters.dead_letter_id
    )
order by letters.feed

-- open_dead_letters --
-- The next open ones of a feed among the chosen; call it under lock_feed.
select
    letters.dead_letter_id, letters.reason, letters.content, letters.content_bytes,
    letters.source_partition, letters.source_offset
from monitoring.dead_letters as letters
where
    letters.feed = %(feed)s
    and letters.dead_letter_id > %(after)s
    and (%(delivery)s::bigint is null or letters.delivery_id = %(delivery)s)
    and (%(letter)s::bigint is null or letters.dead_letter_id = %(letter)s)
    and (%(reason)s::text is null or starts_with(letters.reason, %(reason)s))
    and not exists (
        select 1
        from monitoring.dead_letter_decisions as decisions
        where decisions.dead_letter_id = letters.dead_letter_id
    )
order by letters.dead_letter_id
limit %(limit)s

-- decide_dead_letters --
-- What somebody decided about these; call it under lock_feed.
insert into monitoring.dead_letter_decisions (
    dead_letter_id, decision, replay_delivery_id, decided_by, why, run_id
)
select letters.dead_letter_id, %(decision)s, %(delivery_id)s, %(decided_by)s, %(why)s, %(run_id)s
from unnest(%(letters)s::bigint[]) as letters (dead_letter_id)
