{% macro take_turns(name, together=false) %}
    {{ return(adapter.dispatch('take_turns', 'rampart')(name, together)) }}
{% endmacro %}

{% macro default__take_turns(name, together) %}{% endmacro %}

{% macro postgres__take_turns(name, together) %}
    select pg_advisory_xact_lock{{ '_shared' if together }}(hashtextextended('rampart.build.{{ name }}', 0))
{% endmacro %}
