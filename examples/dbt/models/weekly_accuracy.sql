-- The error of each series by week of the calendar, beside that of the seasonal naive. Weeks begin on Monday.
select
    job,
    series_id,
    {{ week_of('local_date') }} as week,
    count(*) as n,
    avg(abs(error)) as mae,
    avg(abs(baseline - actual)) as naive_mae,
    avg(error) as bias,
    avg(case when inside then 1.0 when not inside then 0.0 end) as coverage
from {{ source('nightcast', 'forecast_vs_actual') }}
where actual is not null
group by job, series_id, {{ week_of('local_date') }}
