{{ config(enabled=(project_name == 'rampart')) }}

with

daily_volumes as (
    select * from {{ ref('daily_volumes') }}
),

trailing_days as (
    select
        daily_volumes.dataset,
        avg(daily_volumes.row_count) as mean_rows,
        stddev_samp(daily_volumes.row_count) as deviation_rows
    from daily_volumes
    where not daily_volumes.is_latest_complete_day
    group by daily_volumes.dataset
),

volume_scores as (
    select
        daily_volumes.dataset,
        daily_volumes.volume_date,
        daily_volumes.row_count,
        trailing_days.mean_rows,
        trailing_days.deviation_rows,
        cast(case
            when trailing_days.deviation_rows > 0
                then
                    (daily_volumes.row_count - trailing_days.mean_rows)
                    / trailing_days.deviation_rows
            -- after a constant history any change is beyond every bound, an outage above all
            when daily_volumes.row_count = trailing_days.mean_rows then 0
            when daily_volumes.row_count > trailing_days.mean_rows then 99
            else -99
        end as numeric(18, 4)) as z_score
    from daily_volumes
    inner join trailing_days
        on daily_volumes.dataset = trailing_days.dataset
    where daily_volumes.is_latest_complete_day
)

select * from volume_scores
