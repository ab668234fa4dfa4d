{#- The condition that a text matches a regular expression anywhere. The engines disagree about a
    null text, and so do the real package's tests: on Postgres a null does not match, elsewhere
    the condition is null, so that neither test judges the row. -#}
{%- macro _matches(macro_name, text, regex, is_raw, flags) -%}
    {{ return(adapter.dispatch("_matches", "dbt_expectations")(macro_name, text, regex, is_raw, flags)) }}
{%- endmacro -%}


{%- macro default___matches(macro_name, text, regex, is_raw, flags) -%}
    {%- do dbt_expectations._warn_of_ignored(macro_name, is_raw, flags) -%}
    regexp_instr({{ text }}, '{{ regex }}') > 0
{%- endmacro -%}


{%- macro postgres___matches(macro_name, text, regex, is_raw, flags) -%}
    {%- do dbt_expectations._refuse_unknown_flags(macro_name, flags, "bcegimnpqstwx") -%}
    {#- `g` asks for every match; for whether there is one it changes nothing -#}
    coalesce(regexp_like({{ text }}, '{{ regex }}', '{{ flags | replace("g", "") }}'), false)
{%- endmacro -%}


{%- macro duckdb___matches(macro_name, text, regex, is_raw, flags) -%}
    {%- do dbt_expectations._refuse_unknown_flags(macro_name, flags, "ciep") -%}
    regexp_matches({{ text }}, '{{ regex }}', '{{ flags }}')
{%- endmacro -%}


{%- macro spark___matches(macro_name, text, regex, is_raw, flags) -%}
    {%- do dbt_expectations._warn_of_ignored(macro_name, is_raw, flags) -%}
    length(regexp_extract({{ text }}, '{{ regex }}', 0)) > 0
{%- endmacro -%}


{%- macro _refuse_unknown_flags(macro_name, flags, alphabet) -%}
    {%- for flag in flags or "" if flag not in alphabet -%}
        {%- do dbt_expectations._refuse(macro_name, "flags", "made of the letters " ~ alphabet, flags) -%}
    {%- endfor -%}
{%- endmacro -%}


{%- macro _warn_of_ignored(macro_name, is_raw, flags) -%}
    {%- if execute and (is_raw or flags) -%}
        {%- do exceptions.warn(
            "dbt_expectations." ~ macro_name ~ ": `is_raw` and `flags` have no effect on " ~ target.type
        ) -%}
    {%- endif -%}
{%- endmacro -%}
