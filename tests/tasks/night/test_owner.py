"""Whom the name of a job belongs to: another file with another source is refused, the same job elsewhere is not."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from flows.job.job import load_job
from sql.engine.connection import connect, resolve_url
from sql.migrations.migrate import migrate
from sql.output.owner import keep_owner, owner_of
from tasks.night.owner import NameTaken, Owner, claim_name, keep_name, refuse_taken_name

FIRST, LATER = datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 9, tzinfo=UTC)


@pytest.fixture
def write_job(database_url, tmp_path):
    """Writes a job file that writes to one database, wherever it lies."""

    def write(file: str = "jobs/sales.yaml", /, output: str | None = None, **changes: object) -> Path:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        source = {"url": "sqlite:///history.db", "table": "sold"} | changes.pop("source", {})  # type: ignore[operator]
        job = {"name": "sales", "source": source, "forecast": {"frequency": "D", "horizon": 3}}
        path.write_text(yaml.safe_dump(job | {"output": {"url": output or database_url}} | changes), encoding="utf-8")
        return path

    return write


@pytest.fixture
def use_name(database_url):
    """Takes the name for a job file as a night does; gives what it tells people."""

    def use(file: Path, now: datetime = LATER) -> str:
        loaded = load_job(file)
        refuse_taken_name(loaded.job, loaded.places, loaded.path)
        migrate(loaded.places.engine())
        note = claim_name(loaded.job, loaded.places, loaded.path, now)
        keep_name(loaded.job, loaded.places, loaded.path, now)
        return note

    return use


@pytest.fixture
def owner(database_url):
    return lambda: owner_of(connect(resolve_url(database_url)), "sales")


def on_another_machine(url: str, file: Path, /, **changes: str) -> None:
    """Lets a job file own the name as another machine would see it."""
    loaded = load_job(file)
    engine = connect(resolve_url(url))
    migrate(engine)
    row = asdict(Owner.of(loaded.job.source, loaded.path, url)) | {"machine": "elsewhere"} | changes
    keep_owner(engine, {"job": "sales", "since": FIRST, **row})


def test_a_name_belongs_to_the_file_and_source_that_first_used_it(write_job, use_name, owner):
    file = write_job()
    assert [use_name(file, FIRST), use_name(file, LATER)] == ["", ""]
    found = owner()
    assert (found["file"], found["since"], found["relation"]) == (str(file), FIRST, "table sold")
    assert (found["url"], found["address"]) == ("sqlite:///history.db", f"sqlite:///{file.parent}/history.db")


@pytest.mark.parametrize("copy", ["jobs/copy.yaml", "other/sales.yaml", "other/copy.yaml"])
@pytest.mark.parametrize("source", [{"table": "returns"}, {"url": "sqlite:////data/returns.db"}])
@pytest.mark.parametrize("first_is_gone", [False, True])
def test_a_copied_job_file_with_another_source_is_refused(write_job, use_name, owner, copy, source, first_is_gone):
    first, second = write_job(), write_job(copy, source=source)
    use_name(first, FIRST)
    before = owner()
    if first_is_gone:
        first.unlink()
    with pytest.raises(NameTaken) as raised:
        use_name(second)
    message = str(raised.value)
    assert message.startswith("The job name 'sales' in ")
    assert f"belongs to {first} (table sold in sqlite:///{first.parent}/history.db) since 2024-03-01" in message
    assert f"and this is {second} (table {source.get('table', 'sold')} in " in message
    assert f"Give this job another name. If it takes the place of that job, write `replaces: {first}`" in message
    assert owner() == before


def test_a_copied_job_file_with_the_same_source_is_refused_while_the_first_one_uses_the_name(write_job, use_name):
    source = {"url": "sqlite:////data/history.db"}
    first, copy = write_job(source=source), write_job("jobs/copy.yaml", source=source)
    use_name(first)
    with pytest.raises(NameTaken):
        use_name(copy)
    # The first file has another name now.
    write_job(source=source, name="sales-1")
    assert use_name(copy) == ""


@pytest.mark.parametrize("text", ["", "name: [", "- sales", "name: sales\noutput: {url: '${NOT_SET}'}", "\xff"])
def test_a_first_file_that_is_no_job_any_more_holds_no_name(write_job, use_name, text):
    source = {"url": "sqlite:////data/history.db"}
    first, renamed = write_job(source=source), write_job("jobs/renamed.yaml", source=source)
    use_name(first)
    first.write_bytes(text.encode("latin-1"))
    assert use_name(renamed) == ""


def test_a_renamed_file_and_a_moved_folder_are_the_same_job(write_job, use_name, owner, tmp_path):
    first = write_job()
    use_name(first, FIRST)
    renamed = first.rename(first.with_name("daily.yaml"))
    assert use_name(renamed) == ""
    folder = renamed.parent.rename(tmp_path / "moved")
    assert use_name(folder / "daily.yaml") == ""
    assert (owner()["file"], owner()["since"]) == (str(folder / "daily.yaml"), FIRST)


def test_a_release_in_a_folder_of_its_own_is_the_same_job_unless_it_changes_the_file(write_job, use_name, tmp_path):
    source = {"url": "sqlite:////data/history.db"}
    first = write_job("releases/1/sales.yaml", source=source)
    use_name(first)
    second = tmp_path / "releases/2/sales.yaml"
    shutil.copytree(first.parent, second.parent)
    assert use_name(second) == ""
    changed = {"training": {"seed": 1}, "source": source}
    with pytest.raises(NameTaken):
        use_name(write_job("releases/3/sales.yaml", **changed))
    meant = write_job("releases/3/sales.yaml", **changed, replaces=f"{tmp_path}/releases/*/sales.yaml")
    assert str(second) in use_name(meant)


def test_an_unedited_copy_whose_relative_url_leads_to_another_file_is_refused(write_job, use_name, tmp_path):
    first = write_job()
    use_name(first)
    shutil.copytree(first.parent, tmp_path / "other")
    with pytest.raises(NameTaken):
        use_name(tmp_path / "other/sales.yaml")


def test_a_folder_that_is_copied_with_its_own_database_is_a_job_of_its_own(write_job, use_name, tmp_path):
    first = write_job(output="sqlite:///forecasts.db")
    use_name(first)
    shutil.copytree(first.parent, tmp_path / "trial")
    trial = write_job("trial/sales.yaml", output="sqlite:///forecasts.db", training={"seed": 1})
    assert [use_name(trial), use_name(first)] == ["", ""]


@pytest.mark.parametrize("move", [shutil.copytree, shutil.move])
def test_a_folder_that_is_moved_or_copied_with_its_database_may_read_another_source(
    write_job, use_name, tmp_path, move
):
    use_name(write_job("here/jobs/sales.yaml", output="sqlite:///../forecasts.db"))
    move(tmp_path / "here", tmp_path / "there")
    other = {"table": "returns"}
    with pytest.raises(NameTaken):
        use_name(write_job("there/more/sales.yaml", output="sqlite:///../forecasts.db", source=other))
    changed = write_job("there/jobs/sales.yaml", output="sqlite:///../forecasts.db", source=other)
    assert use_name(changed).startswith("the source is table returns in ")
    assert use_name(changed) == ""


def test_a_link_to_the_first_file_is_the_first_file(write_job, use_name, tmp_path):
    first = write_job()
    use_name(first)
    (tmp_path / "current").mkdir()
    (tmp_path / "current/other.yaml").hardlink_to(first)
    assert use_name(tmp_path / "current/other.yaml") == ""


def test_another_query_in_the_same_file_is_the_same_job(write_job, use_name, owner):
    queries = [{"table": None, "query": f"SELECT *\n  FROM sold WHERE store = {number}"} for number in (1, 2)]
    assert [use_name(write_job(source=query)) for query in queries] == ["", ""]
    assert owner()["relation"] == "query SELECT * FROM sold WHERE store = 2"


def test_an_edited_query_in_a_new_checkout_is_the_same_job_once_the_first_one_is_gone(write_job, use_name):
    queries = [{"table": None, "query": f"SELECT {columns} FROM sold"} for columns in ("*", "day, units")]
    first, second = (write_job(f"{i}/sales.yaml", source=query) for i, query in enumerate(queries))
    use_name(first)
    with pytest.raises(NameTaken):
        use_name(second)
    first.unlink()
    with pytest.raises(NameTaken):
        use_name(write_job("3/other.yaml", source=queries[1]))
    assert use_name(second) == ""


@pytest.mark.parametrize("source", [{"table": "returns"}, {"url": "sqlite:////data/history.db"}])
def test_another_source_in_the_same_file_is_told_once(write_job, use_name, source):
    use_name(write_job())
    changed = write_job(source=source)
    assert use_name(changed).startswith("the source is table ")
    assert use_name(changed) == ""


def test_a_variable_that_leads_to_a_replica_is_the_same_source(write_job, use_name, monkeypatch):
    monkeypatch.setenv("SOURCE_URL", "postgresql://reader:secret@main/shop")
    first = write_job(source={"url": "${SOURCE_URL}"})
    use_name(first)
    monkeypatch.setenv("SOURCE_URL", "postgresql://reader:other@replica/shop")
    assert use_name(first.rename(first.with_name("daily.yaml"))) == ""


def test_no_user_and_no_password_is_kept(write_job, use_name, owner, monkeypatch):
    monkeypatch.setenv("SOURCE_URL", "postgresql://reader:secret@main/shop?sslpassword=hidden")
    use_name(write_job(source={"url": "${SOURCE_URL}"}))
    assert owner()["address"] == "postgresql+psycopg://main/shop?sslpassword=%2A%2A%2A"
    assert not any(word in str(owner()) for word in ("secret", "reader", "hidden"))


def test_the_same_source_on_another_machine_is_the_same_job_under_any_path(write_job, use_name, database_url):
    file = write_job()
    on_another_machine(database_url, file, file="/srv/jobs/sales.yaml")
    assert use_name(file) == ""


def test_a_first_file_that_cannot_be_looked_for_is_not_there(write_job, use_name, database_url):
    file = write_job()
    on_another_machine(database_url, file, file=f"/srv/{'x' * 5000}/sales.yaml")
    assert use_name(file) == ""


def test_the_same_path_on_another_machine_is_another_job_if_its_database_is(write_job, use_name, database_url):
    file = write_job()
    on_another_machine(database_url, file, relation="table returns")
    assert use_name(file).startswith("the source is table sold in ")
    on_another_machine(database_url, file, url="sqlite:////b.db", address="sqlite:////b.db")
    with pytest.raises(NameTaken, match="on elsewhere since 2024-03-01"):
        use_name(file)


def test_a_file_that_says_what_it_replaces_takes_the_name_and_the_first_one_is_refused_then(write_job, use_name, owner):
    first = write_job()
    use_name(first, FIRST)
    second = write_job("jobs/returns.yaml", source={"table": "returns"}, replaces="sales.yaml")
    assert use_name(second) == (
        f"the name was of {first} (table sold in sqlite:///{first.parent}/history.db) before, which this file replaces"
    )
    assert (owner()["file"], owner()["since"]) == (str(second), LATER)
    assert use_name(second) == ""
    with pytest.raises(NameTaken, match=r"jobs/returns\.yaml"):
        use_name(first)


def test_a_replaced_file_may_have_any_character_in_its_path_and_only_a_star_stands_for_others(write_job, use_name):
    first = write_job("jobs [old]?/sales.yaml", source={"url": "sqlite:////data/history.db"})
    use_name(first)
    other = {"url": "sqlite:////data/returns.db"}
    for pattern in ("../jobs [old]?/s?les.yaml", "../jobs [old]?/[s]ales.yaml", "../jobs [old]*/sales"):
        with pytest.raises(NameTaken):
            use_name(write_job("new/sales.yaml", source=other, replaces=pattern))
    assert "which this file replaces" in use_name(
        write_job("new/sales.yaml", source=other, replaces="../jobs [old]?/sa*.yaml")
    )
    named = write_job("new/returns.yaml", source={"table": "returns"}, replaces=str(first))
    with pytest.raises(NameTaken):
        use_name(named)


def test_another_file_than_the_replaced_one_gives_no_name(write_job, use_name):
    use_name(write_job())
    with pytest.raises(NameTaken):
        use_name(write_job("jobs/b.yaml", source={"table": "returns"}, replaces="c.yaml"))


def test_a_run_that_fails_after_its_beginning_changes_no_owner(write_job, use_name, owner):
    first = write_job()
    use_name(first, FIRST)
    before = owner()
    renamed = load_job(first.rename(first.with_name("daily.yaml")))
    claim_name(renamed.job, renamed.places, renamed.path, LATER)
    assert owner() == before


@pytest.mark.parametrize("text", [None, "name: other", "name: sales\nforecast: {}"])
def test_a_run_whose_job_file_is_edited_or_removed_meanwhile_notes_its_owner(write_job, use_name, owner, text):
    source = {"url": "sqlite:////data/history.db"}
    first = write_job("releases/1/sales.yaml", source=source)
    use_name(first, FIRST)
    file = first.parents[1] / "2/sales.yaml"
    shutil.copytree(first.parent, file.parent)
    copy = load_job(file)
    claim_name(copy.job, copy.places, copy.path, LATER)
    if text is None:
        file.unlink()
    else:
        file.write_text(text, encoding="utf-8")
    keep_name(copy.job, copy.places, copy.path, LATER)
    assert (owner()["file"], owner()["since"]) == (str(file), FIRST)


def test_a_refusal_makes_no_database_and_no_table(write_job, database_url, tmp_path):
    loaded = load_job(write_job())
    refuse_taken_name(loaded.job, loaded.places, loaded.path)
    assert not (tmp_path / "test.db").exists()
    if not database_url.startswith("sqlite"):
        assert sa.inspect(connect(resolve_url(database_url))).get_table_names() == []


def test_a_table_of_the_same_name_of_another_application_says_nothing(write_job, database_url):
    with connect(resolve_url(database_url)).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE job (job TEXT, salary INTEGER)")
    loaded = load_job(write_job())
    refuse_taken_name(loaded.job, loaded.places, loaded.path)
