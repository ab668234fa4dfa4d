-- landing_loaded --
-- Of the names that lie in a landing place those that were loaded, by size, and when last.
select deliveries.name, deliveries.bytes, max(deliveries.loaded_at) as loaded_at
from monitoring.deliveries as deliveries
where deliveries.feed = %(feed)s and deliveries.name = any(%(names)s)
group by deliveries.name, deliveries.bytes

-- landing_recent --
-- The latest deliveries of a feed that take part, the newest first: what size is usual.
select deliveries.name, deliveries.kind, deliveries.bytes
from monitoring.deliveries as deliveries
where deliveries.feed = %(feed)s and deliveries.admission <> 'refused' and deliveries.bytes > 0
order by deliveries.sequence desc
limit %(limit)s

-- landing_arrived_since --
-- How many deliveries of a feed were loaded since a moment, whatever became of them.
select count(*)
from monitoring.deliveries as deliveries
where deliveries.feed = %(feed)s and deliveries.loaded_at >= %(since)s

-- landing_arrivals --
-- How many deliveries of a feed there are, and when the last one was loaded; null: never any.
select
    count(*) as deliveries,
    max(deliveries.loaded_at) as last_loaded_at
from monitoring.deliveries as deliveries
where deliveries.feed = %(feed)s

-- landing_newest --
-- The delivery whose name states the newest moment, or else its file time; never when it was loaded.
select deliveries.extracted_at, deliveries.name
from monitoring.deliveries as deliveries
where
    deliveries.feed = %(feed)s
    and deliveries.extracted_at_from <> 'load'
    and deliveries.extracted_at <= %(until)s
order by deliveries.extracted_at desc, deliveries.sequence desc
limit 1

-- landing_contents --
-- Deliveries that have the size of a file that waits: only those may have its content, too.
select deliveries.sha256, deliveries.name, deliveries.bytes
from monitoring.deliveries as deliveries
where deliveries.feed = %(feed)s and deliveries.bytes = any(%(sizes)s)
order by deliveries.sequence

-- landing_newest_moment --
-- The newest moment that a name of a delivery states.
select max(deliveries.extracted_at)
from monitoring.deliveries as deliveries
where
    deliveries.feed = %(feed)s
    and deliveries.extracted_at_from = 'name'
    and deliveries.admission <> 'refused'
    and deliveries.extracted_at <= %(until)s

-- landing_moments --
-- The moments that names of deliveries state, from one moment to another.
select distinct deliveries.extracted_at
from monitoring.deliveries as deliveries
where
    deliveries.feed = %(feed)s
    and deliveries.extracted_at_from = 'name'
    and deliveries.admission <> 'refused'
    and deliveries.extracted_at between %(since)s and %(until)s

-- landing_open_refusals --
-- Refused deliveries that nothing has answered yet, the oldest first. An answer is whatever was
-- admitted afterwards under the same name, or, to an extract, a full one of no earlier moment.
with

feed_deliveries as (
    select
        deliveries.delivery_id, deliveries.name, deliveries.kind, deliveries.sequence,
        deliveries.extracted_at, deliveries.loaded_at, deliveries.let_through_at,
        deliveries.admission, deliveries.admitted_by, deliveries.why
    from monitoring.deliveries as deliveries
    where deliveries.feed = %(feed)s
),

refused as (
    select * from feed_deliveries
    where admission = 'refused'
),

admitted as (
    select * from feed_deliveries
    where admission <> 'refused'
)

select refused.delivery_id, refused.name, refused.loaded_at, refused.admitted_by, refused.why
from refused
where not exists (
    select 1 from admitted
    where
        (admitted.sequence > refused.sequence or admitted.let_through_at > refused.loaded_at)
        and (
            admitted.name = refused.name
            or (
                refused.kind <> 'events'
                and admitted.kind = 'full'
                and admitted.extracted_at >= refused.extracted_at
            )
        )
)
order by refused.sequence

-- never_delivered --
-- Of these feeds those of which nothing has ever arrived.
select feeds.feed
from unnest(%(feeds)s::text[]) as feeds (feed)
where not exists (
    select 1 from monitoring.deliveries as deliveries where deliveries.feed = feeds.feed
)
