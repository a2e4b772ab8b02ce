"""Nights whose source and output are behind PgBouncer, which gives each transaction any session of the server."""

import sqlalchemy as sa

from flows.deployments.dispatch import run_night
from flows.night.check import check_job
from sql.engine.connection import connect, resolve_url


def test_two_nights_behind_a_pooler_publish_both(make_job, pooled_url, postgres_url):
    job = make_job(url=pooled_url)
    assert check_job(job).problems == []
    for cutoff in ("2024-02-03", "2024-02-10"):
        assert run_night(job, cutoff=cutoff).state == "completed"
    with connect(resolve_url(postgres_url)).connect() as connection:
        rows = connection.execute(sa.text("SELECT count(*), max(cutoff) FROM publication")).one()
        assert (rows[0], str(rows[1].date())) == (2, "2024-02-10")
        evaluated = connection.execute(sa.text("SELECT count(*) FROM score")).scalar()
        assert evaluated
        left_over = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        assert connection.execute(sa.text(left_over)).scalar() == 0
