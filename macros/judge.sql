{% macro judge(rows, rules, decided=none, item=none, replayed_with=none) %}
{%- set effects = {'reject': 'rejected_by', 'flag': 'flagged_by'} %}
{%- for rule in rules %}
    {%- if rule.effect not in effects %}
        {{ exceptions.raise_compiler_error(
            "rule " ~ rule.rule ~ ": `effect` must be one of " ~ effects.keys() | list
            ~ ", got '" ~ rule.effect ~ "'"
        ) }}
    {%- endif %}
{%- endfor %}
select
    {{ rows }}.*,
    {%- if decided %}
    coalesce(standing.standing_replay_id, {{ replayed_with or 'null' }}) as _replay_id,
    {%- endif %}
    {%- for effect, column in effects.items() %}
    {%- set broken %}
    nullif(trim(trailing ',' from concat(
        ''
        {%- for rule in rules if rule.effect == effect %},
        case when {{ rule.holds | trim }} then '' else '{{ rule.rule }},' end
        {%- endfor %}
    )), '')
    {%- endset %}
    {%- if decided and effect == 'reject' %}
    coalesce(
        {{- broken }},
        case when standing.standing_is_discarded then 'discarded' end
    ) as {{ column }}
    {%- else %}
    {{- broken }} as {{ column }}
    {%- endif %}{{ ',' if not loop.last }}
    {%- endfor %}
from {{ rows }}
{%- if decided %}
{#- names of its own: a rule's `holds` names columns without their table #}
left join (
    select
        {{ decided }}.delivery_id as standing_delivery_id,
        {{ decided }}.source_row as standing_source_row,
        {{ decided }}.item as standing_item,
        {{ decided }}.replay_id as standing_replay_id,
        {{ decided }}.is_discarded as standing_is_discarded
    from {{ decided }}
) as standing
    on
        {{ rows }}._delivery_id = standing.standing_delivery_id
        and {{ rows }}._source_row = standing.standing_source_row
        {%- if item %}
        and {{ rows }}.{{ item }} = standing.standing_item
        {%- endif %}
{%- endif %}
{% endmacro %}
