-- Times of a series that the chart's model has more than once.
select job, series_id, timestamp, count(*) as n
from {{ ref('actual_and_forecast') }}
group by job, series_id, timestamp
having count(*) > 1
