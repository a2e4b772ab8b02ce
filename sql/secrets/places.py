"""Where secrets stand: in URLs, in variables of the environment, and under keys whose name says so.

From a URL of a database its password is secret, its user and host are not. From any other URL, such as that of a
webhook, its user and its path are secret too, because they often hold a token.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, unquote_plus

from sql.secrets.known import SHORTEST_PART, remember

_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|credential|signature|api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key|"
    r"(^|_)auth$|auth[_-]?string|authorization|webhook|^(sas|sig|key|dsn)$|_dsn$|connection[_-]?string",
    re.IGNORECASE,
)
_NO_SECRET_NAME = re.compile(
    r"(FILE|PATH|DIR|FOLDER|SOCK|SOCKET|URI|ENABLED|METHOD|TYPE|MODE|AUTHORITY)$", re.IGNORECASE
)
_NO_SECRET_VALUE = re.compile(r"\d{1,7}|true|false|none|null|yes|no|on|off", re.IGNORECASE)
_DATABASES = re.compile(
    r"(postgres|postgresql|mysql|mariadb|oracle|mssql|sqlite|duckdb|parquet|redshift|cockroachdb|snowflake|databricks|"
    r"bigquery|trino|clickhouse|db2|firebird|hana|access|crate|exasol|teradatasql|vertica)(\+\w+)?",
    re.IGNORECASE,
)
_STORAGE = re.compile(r"(s3a?|gs|gcs|az|abfss?|adl|memory|file|local)", re.IGNORECASE)
_URL = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*)://(?P<rest>.*)", re.DOTALL)
_QUERY = re.compile(r"[\w.-]+=[^&]*(&[\w.-]+=[^&]*)*")
_HOSTS = re.compile(r"[\w.,:\[\]-]*(/[^@]*)?(\?.*)?", re.DOTALL)
# Begins only where a word does, and looks for the next URL only so far: a long word would take time by its square.
_OPTION = re.compile(r"(?<![\w.-])([\w.-]+)\s*=\s*('(?:\\.|[^'\\])*'|[^\s&;]+)")
# Options within the value of an option.
_MOST_DEPTH = 2
# Parts of paths that are the same for everybody are words in small letters.
_TOKEN = re.compile(r"(?=.*[0-9A-Z]).{6,}|.{20,}", re.DOTALL)
# Up to the next URL of the same line.
_IN_TEXT = re.compile(r"(?<![\w+.-])[A-Za-z][\w+.-]*://(?:(?![A-Za-z][\w+.-]{0,40}://)[^\n])*")


def names_secret(name: str) -> bool:
    """Whether a key, an option or a variable of this name holds a secret.

    >>> names_secret("sslpassword"), names_secret("AWS_SECRET_ACCESS_KEY"), names_secret("passfile")
    (True, True, False)
    """
    return _SECRET_NAME.search(name) is not None and _NO_SECRET_NAME.search(name) is None


def remember_url(text: str) -> None:
    """Remember what is secret in a URL, also where a character of its password was not encoded.

    >>> from sql.secrets.known import forget_all, hide
    >>> remember_url("postgresql://me:p@ss/word7@shop/sales?sslpassword=hidden8")
    >>> hide("no host 'ss/word7' for me, nor hidden8; shop and sales are no secrets")
    "no host '***' for me, nor ***; shop and sales are no secrets"
    >>> forget_all()
    """
    parts = _URL.fullmatch(text.strip())
    if parts is None:
        _remember_options(text)
    elif _DATABASES.fullmatch(parts["scheme"]) or _STORAGE.fullmatch(parts["scheme"]):
        remember_database_url(text)
    else:
        user, at_sign, after = _split_user(parts["rest"])
        host = _remember_password(user, after)
        if at_sign:
            remember(user.partition(":")[0])
        _remember_path(host, after)


def remember_database_url(text: str) -> None:
    """The same for a URL that is one of a database or of storage, whatever its beginning."""
    parts = _URL.fullmatch(text.strip())
    if parts is None:
        _remember_options(text)
        return
    user, _, after = _split_user(parts["rest"])
    _remember_password(user, after)
    if _STORAGE.fullmatch(parts["scheme"]) and ":" in user:
        # The name of a key belongs to it.
        remember(user.partition(":")[0])


def _remember_password(user: str, after: str) -> str:
    """Remember the password of a URL, and its options that are secret; gives the host."""
    place, _, query = after.partition("?")
    host, _, path = place.partition("/")
    name, _, password = user.partition(":")
    if password:
        remember(password, (unquote(name), host, path))
    _remember_options(query)
    return host


def remember_variable(name: str, value: str) -> None:
    """Remember the value of a variable that a URL names, where its name or the value itself says that it is secret."""
    if names_secret(name):
        remember(value)
    remember_url(value.strip())
    if "@" in value and "://" not in value:
        remember_url(f"postgresql://{value.strip()}")


def remember_environment() -> None:
    """Remember the secrets in the environment: variables whose name says so, and URLs with a password or a token."""
    for name, value in os.environ.items():
        if name in ("PWD", "OLDPWD"):  # the working directory
            continue
        if "://" in value:
            if names_secret(name) or "@" in value or name.endswith("_NOTIFY"):
                remember_url(value)
        elif names_secret(name) and not _NO_SECRET_VALUE.fullmatch(value):
            remember(value)


def remember_document(document: Any, key: str = "") -> None:
    """Remember the secrets of a job file before anybody knows whether it is a job.

    Args:
        document: A mapping, list or text, as YAML gives it.
        key: The key under which it stands.
    """
    if isinstance(document, Mapping):
        for name, value in document.items():
            remember_document(name)
            # Whatever stands below `notify.targets` or `webhook` is an address.
            remember_document(value, key if _is_address(key) else str(name))
    elif isinstance(document, list | tuple | set):
        for each in document:
            remember_document(each, key)
    elif isinstance(document, str):
        remember_text(document)
        if _is_address(key) or names_secret(key):
            remember_url(document) if "://" in document else remember(document)
        elif "@" in document and ":" in document.partition("@")[0]:
            remember_url(document if "://" in document else f"postgresql://{document}")


def remember_text(text: str) -> None:
    """Remember the secrets of the URLs in a text of any kind, such as a file that cannot be read as YAML."""
    for found in _IN_TEXT.finditer(text):
        before, url = text[max(found.start() - 1, 0)], found[0]
        # A password may hold blanks; without quotation marks, a comment of YAML or the next bracket ends the URL.
        url = url.partition(before)[0] if before in ("'", '"') else re.split(r"\s#|[{}<>`]", url, maxsplit=1)[0]
        end = url.rfind("@")
        tail = re.split(r"[\s'\"<>`]", url[end:] if end > 0 else url, maxsplit=1)[0]
        remember_url(url[: max(end, 0)] + tail)


def _is_address(key: str) -> bool:
    return key in ("targets", "webhook")


def _split_user(rest: str) -> tuple[str, str, str]:
    """User and password, `@`, and what follows; in doubt, more belongs to the password."""
    before_query, mark, query = rest.partition("?")
    user, at_sign, after = before_query.rpartition("@")
    if at_sign and (not mark or _QUERY.fullmatch(query)):
        return user, at_sign, f"{after}{mark}{query}"
    user, at_sign, after = rest.rpartition("@")
    if at_sign and ":" in user and _HOSTS.fullmatch(after):
        return user, at_sign, after
    return "", "", rest


def _remember_options(query: str) -> None:
    """Remember the secrets among options: `name=value` with `&`, `;` or blanks between them."""
    for secret in secret_options(query):
        remember(secret)


def secret_options(text: str, depth: int = 0) -> list[str]:
    """The values of options whose name says that they are secret, also among the options of ODBC within one.

    >>> secret_options("sslmode=require&password=hunter2&odbc_connect=DRIVER%3D%7BX%7D%3BUID%3Dme%3BPWD%3Dhunter3")
    ['hunter2', 'hunter3']
    """
    secrets = list[str]()
    for name, value in _OPTION.findall(text):
        if names_secret(name):
            secrets.append(value.strip("'"))
        elif depth < _MOST_DEPTH and "=" in (inner := unquote_plus(value)):
            secrets += secret_options(inner, depth + 1)
    return secrets


def _remember_path(host: str, after: str) -> None:
    """Remember a URL whose path is a token, such as that of a webhook; `after` is host, path and query."""
    place, _, query = after.partition("?")
    path = place.partition("/")[2].rstrip("/")
    if len(path) >= SHORTEST_PART and not re.fullmatch(r"api(/v?\d+)?(/\w{0,12})?", path):
        remember(path, (host, *(part for part in path.split("/") if not _TOKEN.fullmatch(part))))
    values = [value for _, value in _OPTION.findall(query)]
    # Many targets of Apprise have their token in the place of the host.
    hosts = (
        [] if re.fullmatch(r"(.*\.)?[A-Za-z][\w-]*\.[A-Za-z]{2,}(:\d+)?|localhost(:\d+)?|[\d.:\[\]]+", host) else [host]
    )
    for part in [*path.split("/"), *values, *hosts]:
        if _TOKEN.fullmatch(part):
            remember(part)
