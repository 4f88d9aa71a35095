{{ config(materialized='incremental', unique_key='day', incremental_strategy='delete+insert') }}
select day, sum(amount) as total from {{ ref('plain') }} group by day
