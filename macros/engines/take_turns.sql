{% macro take_turns(name) %}
    {{ return(adapter.dispatch('take_turns', 'rampart')(name)) }}
{% endmacro %}

{% macro default__take_turns(name) %}{% endmacro %}

{% macro postgres__take_turns(name) %}
    select pg_advisory_xact_lock(hashtextextended('rampart.build.{{ name }}', 0))
{% endmacro %}
