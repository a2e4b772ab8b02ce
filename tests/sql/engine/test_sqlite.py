"""SQLite files in folders that nobody may write to, as on a read-only mount; and files that this user may not read."""

import ctypes
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import pytest

from sql.engine.connection import adbc_source_connection, connect_source, ping, resolve_url, storage_errors
from sql.errors import NotPermitted, StorageError
from sql.source import database_reader
from sql.source.read import Source, read_observations

# The rights by which root passes over the permissions of files: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
_PASS_OVER = 1 << 1 | 1 << 2
_VERSION = 0x20080522


@contextmanager
def under_permissions() -> Iterator[None]:
    """As a user for whom the permissions of files hold, which they do not for root."""
    libc = ctypes.CDLL(None, use_errno=True)
    thread = (ctypes.c_uint32 * 2)(_VERSION, 0)
    # Effective, permitted and inheritable rights, twice 32 of them.
    before = (ctypes.c_uint32 * 6)()
    assert libc.capget(thread, before) == 0
    within = (ctypes.c_uint32 * 6)(before[0] & ~_PASS_OVER, *before[1:])
    assert libc.capset(thread, within) == 0
    try:
        yield
    finally:
        assert libc.capset(thread, before) == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that others may enter, unlike that of pytest."""
    with tempfile.TemporaryDirectory(prefix="nightcast-sqlite-") as name:
        Path(name).chmod(0o755)
        yield Path(name)
        Path(name).chmod(0o755)


@pytest.fixture(params=["over ADBC", "over SQLAlchemy"])
def way(request, monkeypatch):
    if request.param == "over SQLAlchemy":
        monkeypatch.setattr(database_reader, "adbc_source_connection", lambda url: None)


@pytest.fixture
def written(folder: Path) -> Callable[..., Path]:
    """Writes a table of two rows, the second of them into the log; gives the file, in a folder that is read-only now.

    `beside` names the files beside it that stay.
    """

    def write(beside: tuple[str, ...] = (), mode: str = "WAL", name: str = "sales.db") -> Path:
        with tempfile.TemporaryDirectory() as elsewhere:
            original = Path(elsewhere) / name
            with closing(sqlite3.connect(original, isolation_level=None)) as connection:
                connection.execute(f"PRAGMA journal_mode = {mode}")
                connection.execute("CREATE TABLE sales (series_id TEXT, timestamp TEXT, value REAL)")
                connection.execute("INSERT INTO sales VALUES ('a', '2024-01-01', 1)")
                if mode == "WAL":
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                if beside:
                    connection.execute("INSERT INTO sales VALUES ('a', '2024-01-02', 2)")
                for ending in ("", *beside):
                    shutil.copy(f"{original}{ending}", folder)
        for file in folder.iterdir():
            file.chmod(0o444)
        folder.chmod(0o555)
        return folder / name

    return write


def values(file: Path) -> list[float]:
    with under_permissions():
        return read_observations(Source(url=f"sqlite:///{file}", table="sales"))["value"].to_pylist()


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", ["sales.db", "a %20?#'b.db"])
def test_a_file_with_an_empty_log_is_read_where_nothing_can_be_written(written, name):
    file = written(name=name)
    if "?" in name:
        # A URL ends its path there.
        file = file.parent / "link.db"
        file.parent.chmod(0o755)
        file.symlink_to(name)
        file.parent.chmod(0o555)
    assert values(file) == [1.0]
    assert {each.name for each in file.parent.iterdir()} <= {name, "link.db"}


@pytest.mark.usefixtures("way")
def test_a_log_of_no_bytes_does_not_matter(written, folder):
    file = written()
    folder.chmod(0o755)
    Path(f"{file}-wal").touch()
    folder.chmod(0o555)
    assert values(file) == [1.0]


@pytest.mark.usefixtures("way")
def test_changes_in_a_log_that_cannot_be_read_are_never_left_out(written):
    file = written(("-wal",))
    with pytest.raises(StorageError, match=r"sales\.db-wal beside it holds changes.* Let the program .* close it"):
        values(file)


@pytest.mark.usefixtures("way")
def test_changes_in_a_log_are_read_where_its_index_is_there(written):
    assert values(written(("-wal", "-shm"))) == [1.0, 2.0]


@pytest.mark.usefixtures("way")
def test_a_file_without_a_log_is_read_as_ever(written):
    assert values(written(mode="DELETE")) == [1.0]


@pytest.mark.usefixtures("way")
def test_a_file_that_this_user_may_not_read_is_told_so(written, folder):
    file = written()
    file.chmod(0)
    with pytest.raises(StorageError, match=r"unable to open database file\. Check that this user may read the file"):
        values(file)


@pytest.mark.usefixtures("way")
def test_changes_that_must_be_rolled_back_are_told_so(folder):
    with tempfile.TemporaryDirectory() as elsewhere:
        original = Path(elsewhere) / "sales.db"
        with closing(sqlite3.connect(original, isolation_level=None)) as connection:
            connection.execute("PRAGMA cache_size = 1")
            connection.execute("CREATE TABLE sales (series_id TEXT, timestamp TEXT, value REAL)")
            connection.execute("INSERT INTO sales VALUES ('a', '2024-01-01', 1)")
            connection.execute("BEGIN")
            connection.executemany("INSERT INTO sales VALUES ('a', '2024-01-02', ?)", [(i,) for i in range(9_000)])
            for ending in ("", "-journal"):
                shutil.copy(f"{original}{ending}", folder)
    folder.chmod(0o555)
    with pytest.raises(StorageError, match=r"readonly database\. Make the file and its folder writable"):
        values(folder / "sales.db")


@pytest.mark.parametrize("closed", ["file", "folder"])
@pytest.mark.parametrize("backend", ["sqlite", "duckdb", "parquet"])
def test_a_file_that_the_operating_system_keeps_closed_needs_no_right_of_a_database(folder, backend, closed):
    file = folder / {"sqlite": "x.db", "duckdb": "x.duckdb", "parquet": "sales"}[backend]
    if backend == "parquet":
        file.mkdir()
    else:
        duckdb.connect(str(file)).close() if backend == "duckdb" else file.touch()
    (file if closed == "file" else folder).chmod(0)
    source = Source(url=f"{backend}:///{folder if backend == 'parquet' else file}", table="sales")
    with under_permissions(), pytest.raises(StorageError) as error:
        read_observations(source)
    assert str(error.value).endswith(" Check that this user may read the file, and may enter its folder.")


def test_a_folder_of_sockets_that_is_closed_needs_no_right_of_the_database(folder):
    folder.chmod(0)
    url = resolve_url(f"postgresql://me@/db?host={folder}")
    with under_permissions():
        for reach in (lambda: ping(connect_source(url)), lambda: adbc_source_connection(url)):
            with (
                pytest.raises(StorageError, match=r"Permission denied.* Check that it runs, that this") as error,
                storage_errors(url, "reach"),
            ):
                reach()
            assert not isinstance(error.value, NotPermitted)
