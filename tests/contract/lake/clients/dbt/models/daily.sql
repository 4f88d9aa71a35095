{{ config(materialized='incremental', incremental_strategy='insert_overwrite', partitioned_by=['day'], format='parquet') }}
select id, amount, cast(day as varchar) as day from {{ ref('raw') }}
{% if is_incremental() %} where day >= '2020-01-02' {% endif %}
