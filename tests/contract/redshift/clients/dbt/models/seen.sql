{{ config(materialized='view') }}
select day, count(*) as n, sum(amount) as total from {{ ref('plain') }} group by 1
