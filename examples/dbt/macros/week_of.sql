{# The Monday that begins the week of a day. #}
{% macro week_of(day) %}{{ return(adapter.dispatch('week_of', 'nightcast')(day)) }}{% endmacro %}

{% macro default__week_of(day) %}cast(date_trunc('week', {{ day }}) as date){% endmacro %}

{% macro sqlite__week_of(day) %}date({{ day }}, 'weekday 0', '-6 days'){% endmacro %}
