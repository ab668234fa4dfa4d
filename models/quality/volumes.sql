{{ config(enabled=(project_name == 'rampart')) }}

with

metric_values as (
    select * from {{ source('rampart_store', 'metric_values') }}
    where origin = 'bucket'
),

judgements as (
    select * from {{ source('rampart_store', 'volume_judgements') }}
),

-- buckets come from the scan, on a calendar: one without rows is a zero
buckets as (
    select
        metric_values.environment,
        metric_values.dataset,
        metric_values.segment,
        metric_values.data_timestamp as bucket_start,
        metric_values.value as row_count
    from metric_values
),

volumes as (
    select
        buckets.environment,
        buckets.dataset,
        buckets.segment,
        buckets.bucket_start,
        buckets.row_count,
        judgements.expected,
        judgements.lower as expected_min,
        judgements.upper as expected_max,
        judgements.score,
        coalesce(judgements.state, 'not judged') as state,
        judgements.cause
    from buckets
    left join judgements
        on
            buckets.environment = judgements.environment
            and buckets.dataset = judgements.dataset
            and buckets.segment = judgements.segment
            and buckets.bucket_start = judgements.bucket_start
)

select * from volumes
