{% macro open_hours_between(earlier, later, closed_weekdays, holidays, timezone) -%}
{#- closed days go from midnight to midnight of their own zone: 23 or 25 hours when clocks change -#}
case when {{ earlier }} is not null and {{ later }} is not null then greatest(
    {{ rampart.hours_between(earlier, later) }} - coalesce((
        select
            sum({{ rampart.hours_between(
                'greatest(' ~ rampart.midnight_in('local_days.local_day', timezone) ~ ', ' ~ earlier ~ ')',
                'least(' ~ rampart.midnight_in('local_days.local_day + 1', timezone) ~ ', ' ~ later ~ ')',
            ) }})
        from {{ rampart.days_between(
            rampart.date_in(earlier, timezone), rampart.date_in(later, timezone)
        ) }} as local_days
        where {{ rampart.is_closed_on('local_days.local_day', closed_weekdays, holidays) }}
    ), 0),
    0
) end
{%- endmacro %}
