-- One line for each time of each series, for a chart: the actual where it is known, and the newest forecast of the time.
with ranked as (
    select
        job,
        series_id,
        timestamp,
        local_time,
        local_date,
        actual,
        median,
        mean,
        baseline,
        source,
        cutoff,
        row_number() over (partition by job, series_id, timestamp order by cutoff desc) as age
    from {{ source('nightcast', 'forecast_vs_actual') }}
)

select
    job,
    series_id,
    timestamp,
    local_time,
    local_date,
    actual,
    median,
    mean,
    baseline,
    source,
    cutoff as forecast_at
from ranked
where age = 1
