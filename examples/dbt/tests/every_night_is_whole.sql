-- Nights whose rows are not all there.
select p.job, p.cutoff, p.rows as published, count(f.step) as found
from {{ source('nightcast', 'publication') }} p
left join {{ source('nightcast', 'forecast') }} f on f.job = p.job and f.cutoff = p.cutoff
group by p.job, p.cutoff, p.rows
having count(f.step) <> p.rows
