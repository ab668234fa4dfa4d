{# What makes a version of a member. #}
{% macro member_attributes() %}
    {{ return([
        'govtrack_id', 'lis_id', 'first_name', 'middle_name', 'last_name',
        'official_full', 'birthday', 'gender', 'term_type', 'term_start', 'term_end',
        'state', 'district', 'senate_class', 'party', 'caucus', 'url', 'phone', 'fax',
        'office', 'contact_form', 'n_terms',
    ]) }}
{% endmacro %}
