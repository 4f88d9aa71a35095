{{ config(materialized='view') }}
select day, sum(amount) as total from {{ ref('plain') }} group by day
