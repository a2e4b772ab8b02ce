"""A source of PostgreSQL with rows at infinite times: they are left out, and the rest is forecast."""

import psycopg

from flows.deployments.dispatch import run_night
from flows.night.check import check_job


def test_rows_at_infinite_times_are_found_by_check_and_stop_no_night(make_job, postgres_url):
    job = make_job(url=postgres_url, source={"known_future_from": {"table": "plan", "columns": ["promotion"]}})
    with psycopg.connect(postgres_url) as owner:
        owner.execute("INSERT INTO history VALUES ('a', 'infinity', 1, 'south'), ('b', '-infinity', 2, 'north')")
        owner.execute("CREATE TABLE plan AS SELECT DISTINCT day, 1.0 AS promotion FROM history")
    checked = check_job(job)
    assert checked.problems == []
    assert checked.audit is not None
    found = {finding.kind: finding for finding in checked.audit.findings}
    outside = found["timestamps that are infinite or outside the years 1678 to 2261"]
    assert (outside.count, outside.examples, outside.action) == (2, ("a", "b"), "ignored")
    summary = run_night(job)
    assert summary.state == "completed"
    assert summary.to_dict()["series"] == 7
