{% macro ledger_of(violations) %}
with

violations as (
    select * from {{ violations }}
    where effect = 'reject'
),

deliveries as (
    select * from {{ source('rampart_store', 'deliveries') }}
),

decisions as (
    select * from {{ source('rampart_decisions', 'decisions') }}
),

decisions_ranked as (
    select
        decisions.*,
        row_number() over (
            partition by
                decisions.source, decisions.delivery_id, decisions.source_row, decisions.item
            order by decisions.decision_id desc
        ) as decision_from_end
    from decisions
),

rejected_rows as (
    select
        violations.feed,
        violations.delivery_id,
        violations.source_row,
        violations.item,
        violations.grain,
        {{ dbt.listagg('violations.rule', "', '", 'order by violations.rule') }} as rules
    from violations
    group by
        violations.feed,
        violations.delivery_id,
        violations.source_row,
        violations.item,
        violations.grain
),

ledger as (
    select
        rejected_rows.feed,
        rejected_rows.delivery_id,
        rejected_rows.source_row,
        rejected_rows.item,
        rejected_rows.grain,
        rejected_rows.rules,
        deliveries.name as file_name,
        deliveries.run_id,
        deliveries.loaded_at,
        coalesce(decisions_ranked.decision, 'open') as decision,
        decisions_ranked.decided_by,
        decisions_ranked.decided_at,
        decisions_ranked.why
    from rejected_rows
    inner join deliveries
        on rejected_rows.delivery_id = deliveries.delivery_id
    left join decisions_ranked
        on
            rejected_rows.feed = decisions_ranked.source
            and rejected_rows.delivery_id = decisions_ranked.delivery_id
            and rejected_rows.source_row = decisions_ranked.source_row
            and rejected_rows.item = decisions_ranked.item
            and decisions_ranked.decision_from_end = 1
)

select * from ledger
{% endmacro %}
