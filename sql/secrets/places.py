"""Where secrets stand: in URLs, in variables of the environment, and under keys whose name says so.

The password of a URL is secret, its user, host, port and path are not. Only the URL of a target of messages, such as a
webhook, has tokens in its path, and only what stands for such a target is read as one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import unquote, unquote_plus

from sql.secrets.known import SHORTEST, remember, remember_whole

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase|code)|(?<!by)(?<!com)pass($|[_\d-])|pwd|secret|token(?!iz)|credential|signature|"
    r"api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key|"
    r"(^|_)auth$|auth[_-]?string|authorization|webhook|^(sas|sig|key|dsn)$|_dsn$|connection[_-]?string",
    re.IGNORECASE,
)
_NO_SECRET_NAME = re.compile(
    r"(FILE|PATH|DIR|DIRECTORY|FOLDER|HOME|ROOT|SOCK|SOCKET|URI|ENABLED|METHOD|TYPE|MODE|AUTHORITY|HOST|PORT|NAME|"
    r"LENGTH|COUNT|TTL|TIMEOUT|REGION|VERSION)$",
    re.IGNORECASE,
)
_NO_SECRET_VALUE = re.compile(r"\d{1,7}|true|false|none|null|yes|no|on|off", re.IGNORECASE)
# A key in base64 may begin with a slash too, but mixes letters and digits without end.
_PATH = re.compile(r"(~|\.{1,2})?(/(?!(?=[^/]*\d)(?=[^/]*[a-z])(?=[^/]*[A-Z])[^/.]{16})[\w.@ -]+)+/?|[A-Za-z]:\\.*")
_DATABASES = re.compile(
    r"(postgres|postgresql|mysql|mariadb|oracle|mssql|sqlite|duckdb|parquet|redshift|cockroachdb|snowflake|databricks|"
    r"bigquery|trino|clickhouse|db2|firebird|hana|access|crate|exasol|teradatasql|vertica)(\+\w+)?",
    re.IGNORECASE,
)
_STORAGE = re.compile(r"(s3a?|gs|gcs|az|abfss?|adl|memory|file|local)", re.IGNORECASE)
_WEB = re.compile(r"(http|json|xml|form|mailto)s?", re.IGNORECASE)
_URL = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]*)://(?P<rest>.*)", re.DOTALL)
_QUERY = re.compile(r"[\w.-]+=[^&]*(&[\w.-]+=[^&]*)*")
_HOSTS = re.compile(r"[\w.,:\[\]-]*(/[^@]*)?(\?.*)?", re.DOTALL)
# Neither a path nor the text before a colon is a user.
_NO_USER = re.compile(r"[/?#\s]")
_PORT = re.compile(r"\d{1,5}(?=[/?#\s])")
_LOGIN = re.compile(r"(?!mailto:)[^\s:/@]+:(?!:)[^\s@]+@\S+")
# Begins only where a word does: a long word would take time by its square.
_OPTION = re.compile(r"(?<![\w.-])([\w.-]+)\s*=\s*('(?:\\.|[^'\\])*'|[^\s&;]+)")
# Options within the value of an option.
_MOST_DEPTH = 2
# Parts of paths that are the same for everybody are words in small letters.
_TOKEN = re.compile(r"(?=.*[0-9A-Z]).{6,}|.{20,}", re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*$")
_LONGEST_SCHEME = 40
_MOST_URLS = 1_000


def names_secret(name: str) -> bool:
    """Whether a key, an option or a variable of this name holds a secret.

    >>> names_secret("sslpassword"), names_secret("AWS_SECRET_ACCESS_KEY"), names_secret("passfile")
    (True, True, False)
    """
    return _SECRET_NAME.search(name) is not None and _NO_SECRET_NAME.search(name) is None


def remember_url(text: str) -> None:
    """Remember the credentials of a URL, also where a character of its password was not encoded.

    >>> from sql.secrets.known import forget_all, hide
    >>> remember_url("postgresql://me:p@ss/word7@shop/sales?sslpassword=hidden8")
    >>> hide("no host 'ss/word7' for me, nor hidden8; shop and sales are no secrets")
    "no host '***' for me, nor ***; shop and sales are no secrets"
    >>> forget_all()
    """
    parts = _URL.fullmatch(text.strip())
    if parts is None:
        _remember_options(text)
        return
    user, at_sign, after = _split_user(parts["rest"])
    password = user.partition(":")[2]
    is_database = _DATABASES.fullmatch(parts["scheme"]) is not None
    if not is_database and _PORT.match(password):
        user = password = ""
    _remember_password(user, after)
    # The name of a key belongs to it, and a token may stand alone.
    names_key = password if _STORAGE.fullmatch(parts["scheme"]) else not password and _WEB.fullmatch(parts["scheme"])
    if at_sign and names_key:
        remember(user.partition(":")[0])


def remember_target(text: str) -> None:
    """The same for a target of messages, such as a webhook, whose path often is a token."""
    parts = _URL.fullmatch(text.strip())
    if parts is None:
        # An address without its beginning has a host too.
        if "/" in text:
            remember_target(f"https://{text}")
        else:
            remember(text)
        return
    user, _, after = _split_user(parts["rest"])
    host, (name, _, password) = _remember_password(user, after), user.partition(":")
    if not password or _TOKEN.fullmatch(name):
        remember(name)
    _remember_path(host, after, "" if _WEB.fullmatch(parts["scheme"]) else host)


def remember_variable(name: str, value: str) -> None:
    """Remember the value of a variable that a URL names, where its name or the value itself says that it is secret."""
    value = value.strip()
    if _is_secret(name, value):
        remember(value)
    remember_url(value)
    if "@" in value and "://" not in value:
        remember_url(f"postgresql://{value}")


def remember_environment() -> None:
    """Remember the secrets in the environment: variables whose name says so, and the credentials of URLs."""
    for name, value in os.environ.items():
        if name in ("PWD", "OLDPWD"):  # the working directory
            continue
        if _is_secret(name, value):
            remember_whole(value)
        elif "://" not in value:
            if names_secret(name):
                _remember_options(value)
        elif not _URL.fullmatch(value.strip()):
            remember_text(value)
        elif "webhook" in name.lower() or name.endswith("_NOTIFY"):
            remember_target(value)
        else:
            remember_url(value)


def _is_secret(name: str, value: str) -> bool:
    """Whether the name of a variable says that it is secret, and its value is no place, switch or way to log in."""
    if not names_secret(name) or "://" in value or not value or _NO_SECRET_VALUE.fullmatch(value):
        return False
    if name.lower().endswith("auth") and value.replace("-", "").isalpha():
        return False
    return not (_PATH.fullmatch(value) or os.path.exists(value) or secret_options(value))


def remember_document(document: Any, keys: tuple[str, ...] = ()) -> None:
    """Remember the secrets of a job file before anybody knows whether it is a job.

    Args:
        document: A mapping, list or text, as YAML gives it.
        keys: The keys under which it stands.
    """
    if isinstance(document, Mapping):
        for name, value in document.items():
            remember_document(name, (*keys, ""))
            remember_document(value, (*keys, str(name)))
    elif isinstance(document, list | tuple | set):
        for each in document:
            remember_document(each, keys)
    elif isinstance(document, str):
        _remember_value(document, keys)


def _remember_value(text: str, keys: tuple[str, ...]) -> None:
    """Remember the secrets of one text of a job file: what is read as a URL depends on where it stands."""
    key, is_url = keys[-1] if keys else "", "://" in text
    if key == "query":  # of SQL
        remember_text(text)
    elif is_url and {"notify", "webhook", "targets"} & {*keys}:
        remember_target(text)
    elif {"webhook", "targets"} & {*keys} and key:
        remember(text)
    elif names_secret(key) and not is_url:
        if _is_secret(key, text):
            remember(text)
    elif "url" in key or key in ("source", "output", "parquet", "versions", "runner", "dask") or names_secret(key):
        remember_url(text if is_url or "@" not in text else f"postgresql://{text}")
    else:
        remember_text(text)
        if _LOGIN.fullmatch(text) and not is_url:
            remember_url(f"postgresql://{text}")


def remember_text(text: str) -> None:
    """Remember the secrets of the URLs in a text of any kind, such as a file that cannot be read as YAML.

    Time grows with the length of the text alone.
    """
    for before, scheme, url in _urls_in(text):
        if before in ("'", '"'):
            # A password may hold blanks.
            url = url.partition(before)[0]
        elif _DATABASES.fullmatch(scheme) is None:
            url = re.split(r"[\s'\"{}<>`]", url, maxsplit=1)[0]
        else:
            # A comment of YAML or a bracket ends the URL, and after a port comes no password.
            url = re.split(r"\s#|[{}<>`]", url, maxsplit=1)[0]
            if _PORT.match(url.partition("://")[2].partition(":")[2]):
                url = url.split(maxsplit=1)[0]
        end = max(url.rfind("@"), 0)
        remember_url(url[:end] + re.split(r"[\s'\"<>`]", url[end:], maxsplit=1)[0])


def _urls_in(text: str) -> Iterator[tuple[str, str, str]]:
    """For each URL of a text: the character before it, its scheme, and the line from there to the next URL."""
    starts = [
        found.start() + each.start() - len(before)
        for found in islice(re.finditer("://", text), _MOST_URLS)
        if (each := _SCHEME.search(before := text[max(found.start() - _LONGEST_SCHEME, 0) : found.start()]))
    ]
    for begin, end in zip(starts, [*starts[1:], len(text)], strict=False):
        line = text[begin:end].partition("\n")[0]
        yield text[max(begin - 1, 0) : begin], line.partition("://")[0], line


def _split_user(rest: str) -> tuple[str, str, str]:
    """User and password, `@`, and what follows; in doubt, more belongs to the password."""
    before_query, mark, query = rest.partition("?")
    user, at_sign, after = before_query.rpartition("@")
    if at_sign and not _NO_USER.search(user.partition(":")[0]) and (not mark or _QUERY.fullmatch(query)):
        return user, at_sign, f"{after}{mark}{query}"
    user, at_sign, after = rest.rpartition("@")
    if at_sign and ":" in user and not _NO_USER.search(user.partition(":")[0]) and _HOSTS.fullmatch(after):
        return user, at_sign, after
    return "", "", rest


def _remember_password(user: str, after: str) -> str:
    """Remember the password of a URL, and its options that are secret; gives the host."""
    place, _, query = after.partition("?")
    host, _, path = place.partition("/")
    name, _, password = user.partition(":")
    if password:
        remember(password, (unquote(name), host, path))
    _remember_options(query)
    return host


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


def _remember_path(host: str, after: str, token: str) -> None:
    """Remember a URL whose path is a token, such as that of a webhook.

    Args:
        host: What stands in the place of the host.
        after: Host, path and query.
        token: The host, if it may be a token, as that of many targets of Apprise; "" otherwise.
    """
    place, _, query = after.partition("?")
    path = place.partition("/")[2].rstrip("/")
    if len(path) >= SHORTEST and not re.fullmatch(r"api(/v?\d+)?(/\w{0,12})?", path):
        remember(path, (host, *(part for part in path.split("/") if not _TOKEN.fullmatch(part))))
    values = [value for _, value in _OPTION.findall(query)]
    is_host = re.fullmatch(r"(.*\.)?[A-Za-z][\w-]*\.[A-Za-z]{2,}(:\d+)?|localhost(:\d+)?|[\d.:\[\]]+", token)
    for part in [*path.split("/"), *values, *([] if is_host else [token])]:
        if _TOKEN.fullmatch(part):
            remember(part)
