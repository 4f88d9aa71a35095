{{ config(materialized='table', dist='id', sort=['day']) }}
select id, name, amount, day, nvl(name, 'none') as label, dateadd(month, 1, day) as due from {{ ref('raw') }}
