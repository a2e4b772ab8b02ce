from pathlib import Path

import pytest

from sql.engine.connection import connect, storage_error
from sql.engine.url import describe, holds_password, identity_of, resolve_url
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
        assert "hunter2" not in str(error.value)


def test_a_described_url_hides_the_password_wherever_it_stands():
    url = resolve_url("postgresql://u:hunter2@host/d?password=hunter2&sslpassword=hunter2&sslmode=require")
    assert "hunter2" not in describe(url)
    assert "sslmode=require" in describe(url)


SEVERAL_HOSTS = {
    "postgresql://u@h1:5432,h2:5433/d": ("h1,h2", "5432,5433"),
    "postgresql://u@h1,h2/d": ("h1,h2", None),
    "postgresql://u@h1,h2:5433/d": ("h1,h2", ",5433"),
    "postgresql://u@[::1]:5432,[::2]:5433/d?sslmode=require": ("::1,::2", "5432,5433"),
    "postgres://u:p%40@${HOSTS}/d": ("h1,h2", "1,2"),
}


@pytest.mark.parametrize("url", SEVERAL_HOSTS)
def test_several_hosts_are_written_as_libpq_has_them(monkeypatch, url):
    monkeypatch.setenv("HOSTS", "h1:1,h2:2")
    resolved = resolve_url(url)
    assert (resolved.query.get("host"), resolved.query.get("port")) == SEVERAL_HOSTS[url]
    assert (resolved.drivername, resolved.username, resolved.database) == ("postgresql+psycopg", "u", "d")
    assert resolved.query.get("sslmode") == ("require" if "sslmode" in url else None)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("postgresql://me@${PGHOST}/db", "/var/run/postgresql", None),
        ("postgres://me:${SECRET}@${PGHOST}:5433/db?sslmode=disable", "/var/run/postgresql", "5433"),
        ("postgresql://${PGHOST}/db", "/var/run/postgresql", None),
        ("postgresql://me@h,${PGHOST}/db", "h,/var/run/postgresql", None),
    ],
)
def test_a_folder_of_sockets_from_the_environment_becomes_an_option(monkeypatch, url, host, port):
    monkeypatch.setenv("PGHOST", "/var/run/postgresql")
    monkeypatch.setenv("SECRET", "a:b@c/d")
    resolved = resolve_url(url)
    assert (resolved.host, resolved.database) == (None, "db")
    assert (resolved.query.get("host"), resolved.query.get("port")) == (host, port)
    assert resolved.username == ("me" if "me" in url else None)
    assert resolved.password == ("a:b@c/d" if "SECRET" in url else None)


@pytest.mark.parametrize("address", ["::1", "fe80::1%eth0", "2001:db8::7"])
@pytest.mark.parametrize(("host", "port"), [("${PGHOST}", None), ("${PGHOST}:5433", 5433), ("[${PGHOST}]:5433", 5433)])
def test_an_address_of_ipv6_from_the_environment_needs_no_brackets(monkeypatch, address, host, port):
    monkeypatch.setenv("PGHOST", address)
    for backend in ("postgresql", "mysql+pymysql"):
        url = resolve_url(f"{backend}://me@{host}/db")
        assert (url.host, url.port, url.database) == (address, port, "db")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgres+psycopg", "PostgreSQL"])
def test_every_name_of_postgresql_is_understood(scheme):
    assert resolve_url(f"{scheme}://u@h/d").render_as_string() == "postgresql+psycopg://u@h/d"


def test_a_port_may_come_from_the_environment_or_be_empty(monkeypatch):
    monkeypatch.setenv("PORT", "5433")
    monkeypatch.setenv("SECRET", "a:b@c")
    url = resolve_url("postgresql://u:${SECRET}@h:${PORT}/d")
    assert (url.password, url.host, url.port) == ("a:b@c", "h", 5433)
    assert resolve_url("postgresql://u@h:/d").port is None


@pytest.mark.parametrize("port", ["abc", "${LETTERS}", "99999", "0", "5432:5433", "-1", "5432,h2:x"])
def test_a_port_that_is_none_is_refused_without_the_password(monkeypatch, port):
    monkeypatch.setenv("LETTERS", "54x")
    for backend in ("postgresql", "mysql+pymysql"):
        with pytest.raises(SourceError, match=r"is not a database URL: .* is no port\. Write host:port") as error:
            resolve_url(f"{backend}://u:hunter2@h:{port}/d")
        assert "hunter2" not in str(error.value)


PASSWORDS_IN_ODD_PLACES = [
    "postgresql://u:hun@hunter2@h/d",
    "postgresql://u:hunter2@h:${NOWHERE}/d",
    "postgresql://u:hunter2@${NOWHERE}/d",
    "postgresql://h:99999/d?password=hunter2&sslmode=require",
    "jdbc:postgresql://u:hunter2@h/d",
    "postgresql:/u:hunter2@h",
    "host=h dbname=d password=hunter2",
    "sqlite://u:hunter2@h/x.db",
    "sqlite://u:hunter2@/",
    "duckdb://u:hunter2@/C:/x.duckdb",
]


@pytest.mark.parametrize("url", PASSWORDS_IN_ODD_PLACES)
def test_no_message_about_a_url_shows_a_password_in_an_odd_place(monkeypatch, url):
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(SourceError) as error:
        resolve_url(url)
    assert "hunter2" not in str(error.value)


def test_passwords_are_found_in_urls_of_every_form():
    held = [
        "postgres://u:p@h/d",
        "postgresql://u:p@h1:1,h2:2/d",
        "postgresql://u:p@h:${PORT}/d",
        " mysql://u:a/b@h/d\n",
    ]
    assert [holds_password(url) for url in held] == [True] * 4
    assert not holds_password("postgres://u:${P}@h1:1,h2:${PORT}/d")


def test_the_message_of_a_driver_shows_no_password_however_it_is_written():
    url = resolve_url("postgresql://u:p%40ss@h/d?sslpassword=hunter2")
    message = str(storage_error(url, "reach", ValueError("bad p@ss in postgresql://u:p%40ss@h/d?sslpassword=hunter2")))
    assert "p@ss" not in message
    assert "p%40ss" not in message
    assert "hunter2" not in message


def test_blanks_around_a_url_do_not_count(monkeypatch):
    monkeypatch.setenv("WHOLE", "postgres://u:p@h/d\n")
    monkeypatch.setenv("SECRET", "hunter2\r\n")
    assert resolve_url("${WHOLE} ").database == "d"
    assert resolve_url("postgresql://u:${SECRET}@h/d").password == "hunter2"
    assert resolve_url(" \n\ufeffsqlite:///a b.db \n", Path("/job")).database == "/job/a b.db"


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("sqlite://example.db", "Write sqlite:///example.db"),
        ("sqlite://data/example.db", "Write sqlite:///data/example.db"),
        ("duckdb://example.duckdb", "Write duckdb:///example.duckdb"),
        ("parquet://history", "Write parquet:///history"),
    ],
)
def test_two_slashes_before_a_file_are_refused_with_the_right_url(url, remedy):
    with pytest.raises(SourceError, match=f"two slashes where it needs three. {remedy} "):
        resolve_url(url)


@pytest.mark.parametrize("path", ["C:\\data\\x.db", "C:/data/x.db", "/c:/x.db", "data\\x.db", "\\\\server\\x.db"])
def test_a_path_of_windows_is_refused(path):
    with pytest.raises(SourceError, match="names a path of Windows"):
        resolve_url(f"sqlite:///{path}")


@pytest.mark.parametrize("backend", ["mysql", "mariadb", "oracle"])
def test_a_url_without_a_driver_gets_the_name_of_one(backend):
    with pytest.raises(SourceError, match=rf"is not installed .* such as {backend}\+\w+://") as error:
        connect(resolve_url(f"{backend}://u:hunter2@h/d"))
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("backend", ["sqlite", "duckdb", "parquet"])
def test_a_name_that_no_file_system_takes_is_refused(backend):
    with pytest.raises(SourceError, match="holds a name of more than 255 bytes"):
        resolve_url(f"{backend}:///{'é' * 128}")


@pytest.mark.parametrize(("url", "name"), [("sqlite:////dev/null", "/dev/null"), ("duckdb:////tmp", "/tmp")])
def test_a_device_or_folder_is_no_database(url, name):
    with pytest.raises(SourceError, match=f"names {name}, which is no file"):
        resolve_url(url)


@pytest.mark.parametrize("value", ["x" * 10_001, "a\udcff"])
def test_a_variable_that_no_url_can_hold_is_refused_and_not_shown(monkeypatch, value):
    monkeypatch.setenv("PLACE", value)
    with pytest.raises(SourceError, match="PLACE, which a database URL names, has more than 10,000 characters or is"):
        resolve_url("sqlite:///${PLACE}.db")


def test_an_identity_keeps_two_databases_two_and_one_database_one(monkeypatch):
    monkeypatch.setenv("SHOP", "/data/shop.db")
    first = identity_of(resolve_url("sqlite:///${SHOP}"))
    monkeypatch.setenv("SHOP", "/data/rents.db")
    second = identity_of(resolve_url("sqlite:///${SHOP}"))
    assert (first, second) == ("sqlite:////data/shop.db", "sqlite:////data/rents.db")
    assert describe(resolve_url("sqlite:///${SHOP}")) == "sqlite:///${SHOP}"
