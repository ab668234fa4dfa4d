{% macro sf_users_of(users, deliveries) %}
select
    {{ users }}.*,
    row_number() over (
        partition by {{ users }}._delivery_id, {{ users }}.user_id
        order by {{ users }}._source_row desc
    ) as row_of_key_from_end
from {{ users }}
inner join {{ deliveries }}
    on {{ users }}._delivery_id = {{ deliveries }}.delivery_id
where {{ users }}._delivery_id >= (select min({{ deliveries }}.delivery_id) from {{ deliveries }})
{% endmacro %}
