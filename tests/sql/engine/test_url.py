from pathlib import Path

import pytest

from sql.engine.url import describe, resolve_url
from sql.errors import SourceError


def test_a_relative_sqlite_path_starts_from_the_base_folder():
    assert resolve_url("sqlite:///data/example.db", Path("/job")).database == "/job/data/example.db"
    assert resolve_url("sqlite:////elsewhere/example.db", Path("/job")).database == "/elsewhere/example.db"


def test_postgresql_means_psycopg_unless_another_driver_is_named():
    assert resolve_url("postgresql://u@h/d").drivername == "postgresql+psycopg"
    assert resolve_url("postgresql+pg8000://u@h/d").drivername == "postgresql+pg8000"


def test_a_password_from_the_environment_may_hold_any_character(monkeypatch):
    monkeypatch.setenv("SECRET", "a:b@c/d%20?#")
    url = resolve_url("postgresql://u:${SECRET}@host/d")
    assert (url.username, url.password, url.host, url.database) == ("u", "a:b@c/d%20?#", "host", "d")


def test_a_variable_may_hold_the_whole_url_or_its_beginning(monkeypatch):
    monkeypatch.setenv("WHOLE", "postgresql://u:p%40q@host:5433/d")
    assert resolve_url("${WHOLE}").password == "p@q"
    assert resolve_url("${WHOLE}_test").database == "d_test"


def test_an_unset_variable_is_named_with_its_remedy(monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(SourceError, match=r"NOWHERE, which is not set.*export NOWHERE="):
        resolve_url("postgresql://u:${NOWHERE}@host/d")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused_for_it_keeps_nothing(url):
    with pytest.raises(SourceError, match="names no SQLite file"):
        resolve_url(url)


def test_what_is_no_url_is_refused_without_showing_a_password(monkeypatch):
    monkeypatch.setenv("HALF", "hunter2")
    for url in ("no url", "${HALF}", "postgresql//u:hunter2@host"):
        with pytest.raises(SourceError, match="is not a database URL") as error:
            resolve_url(url)
        assert "hunter2" not in str(error.value) or url == "postgresql//u:hunter2@host"


def test_a_described_url_hides_the_password_wherever_it_stands():
    url = resolve_url("postgresql://u:hunter2@host/d?password=hunter2&sslpassword=hunter2&sslmode=require")
    assert "hunter2" not in describe(url)
    assert "sslmode=require" in describe(url)
