"""Where secrets are looked for: URLs of every kind, variables, and job files that are none yet."""

from __future__ import annotations

import pytest

from sql.secrets.known import hide
from sql.secrets.places import (
    names_secret,
    remember_document,
    remember_environment,
    remember_target,
    remember_text,
    remember_url,
    remember_variable,
)


@pytest.mark.parametrize(
    ("url", "secret", "shown"),
    [
        ("postgresql://me:hunter2@shop:5432/sales", "hunter2", "me shop:5432 sales"),
        ("postgresql://me:p%40ss-hunter2@shop/sales", "p@ss-hunter2", "me shop sales"),
        ("postgresql://me:p@ss/w?rd-7@shop/sales", "ss/w?rd-7", "me shop sales"),
        ("postgresql://me:hunter2@shop/sales?application_name=a@b", "hunter2", "shop application_name"),
        ("postgresql://shop/sales?user=me&password=hunter2", "hunter2", "shop sales me"),
        ("mssql+pymssql://me:hun;ter2@shop/sales", "hun;ter2", "me shop sales"),
        ("s3://AKIA5EXAMPLE:wJalrXUtn/K7MDENG@bucket/forecasts", "wJalrXUtn/K7MDENG", "bucket/forecasts"),
        ("s3://AKIA5EXAMPLE:wJalrXUtn/K7MDENG@bucket/forecasts", "AKIA5EXAMPLE", "bucket/forecasts"),
        ("https://me:hunter2@example.org/in", "hunter2", "example.org"),
        ("https://ghp-token77@example.org/in", "ghp-token77", "example.org"),
        ("https://example.org/in?sig=aBc%2Fdef123", "aBc/def123", "example.org"),
        ("mailtos://robot:hunter2@example.org?to=ops@example.org", "hunter2", "example.org"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BX%7D%3BSERVER%3Dshop%3BPWD%3Dhunter2", "hunter2", "shop"),
        ("host=shop user=me password=hunter2", "hunter2", "shop me"),
    ],
)
def test_the_secrets_of_a_url_are_hidden_and_the_rest_stays(url, secret, shown):
    remember_url(url)
    assert secret not in hide(f"it said {secret}, and {url}")
    assert hide(shown) == shown


@pytest.mark.parametrize(
    ("url", "secret", "shown"),
    [
        ("https://hooks.slack.com/services/T0ABCDEF/B0ABCDEF/XyZ123abc", "XyZ123abc", "hooks.slack.com services"),
        ("https://hooks.slack.com/services/T0ABCDEF/B0ABCDEF/XyZ123abc", "T0ABCDEF/B0ABCDEF", "hooks.slack.com"),
        ("slack://TokenA1234/TokenB1234/TokenC1234/#ops", "TokenA1234", "ops"),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "jhmhi8qbe7bk2zwo5u711o3dv_js", ""),
        ("tgram://123456789:AAbbCC-dd/98765", "AAbbCC-dd", ""),
        ("mailtos://robot:hunter2@example.org?to=ops@example.org", "hunter2", "example.org robot"),
        ("hooks.example.org/services/T0ABCDEF7", "T0ABCDEF7", "hooks.example.org services"),
        ("https://intranet7/hooks/ZyR83vbW77/forecast", "ZyR83vbW77", "https://intranet7 hooks forecast"),
    ],
)
def test_the_tokens_in_the_path_of_a_target_are_hidden_too_and_its_host_stays(url, secret, shown):
    remember_target(url)
    assert secret not in hide(f"it said {secret}, and {url}")
    assert hide(shown) == shown


def test_the_names_of_variables_and_options_say_what_is_secret():
    secret = [
        "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "PREFECT_API_KEY", "SLACK_TOKEN", "DB_PWD",
        "sslpassword", "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_SAS_TOKEN", "PREFECT_API_AUTH_STRING", "sig",
        "TEAMS_WEBHOOK",
    ]  # fmt: skip
    public = [
        "PGPASSFILE",
        "passfile",
        "SSH_AUTH_SOCK",
        "PREFECT_API_URL",
        "HOME",
        "sslkey",
        "keep_days",
    ]
    assert [name for name in secret if not names_secret(name)] == []
    assert [name for name in public if names_secret(name)] == []


def test_the_environment_is_read_for_secrets_and_for_urls_with_passwords(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    monkeypatch.setenv("PREFECT_API_URL", "https://me:letmein-88@prefect.example.org/api")
    monkeypatch.setenv("HOME", "/home/plain-path")
    monkeypatch.setenv("USE_TOKEN", "true")
    monkeypatch.setenv("PWD", "/home/plain-path")
    remember_environment()
    assert hide("hunter2 letmein-88") == "*** ***"
    assert hide("/home/plain-path is true, https://prefect.example.org/api") == (
        "/home/plain-path is true, https://prefect.example.org/api"
    )


def test_a_variable_of_a_url_is_secret_where_its_name_or_value_says_so():
    remember_variable("SHOP_PASSWORD", "hunter2")
    remember_variable("SHOP_LOGIN", "me:letmein-88@shop")
    remember_variable("SHOP_HOST", "plain-host-1")
    assert hide("hunter2 letmein-88 plain-host-1") == "*** *** plain-host-1"


def test_a_document_is_searched_before_it_is_known_to_be_a_job():
    remember_document(
        {
            "source": "me:hunter2@shop/sales",
            "output": ["postgresql://me:letmein-88@shop/sales"],
            "notify": {"targets": {"plain-target-1": "slack://TokenA1234/x"}, "webhook": "not-a-url-9"},
            "postgresql://me:as-a-key-1@shop/x": {"api_key": "abc-def-1", "table": "plain-table-1"},
        }
    )
    words = "hunter2 letmein-88 TokenA1234 not-a-url-9 as-a-key-1 abc-def-1"
    assert hide(words) == "*** *** *** *** *** ***"
    assert hide("plain-table-1 shop sales") == "plain-table-1 shop sales"


def test_a_text_is_searched_though_it_is_no_yaml():
    remember_text(
        "source: {url: 'sqlite://', table: plain, from: postgresql://me:hunter2@shop/sales}\n"
        'output: {url: "postgresql://me:pa ss}w#rd@shop/sales"  # ask bob@example.org\n'
        "x: postgresql://shop/sales # ask bob@example.org"
    )
    assert hide("hunter2, pa ss}w#rd") == "***, ***"
    assert hide("table: plain, shop/sales, bob@example.org") == "table: plain, shop/sales, bob@example.org"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT id::text AS series, day AS timestamp FROM sales WHERE tags @> '{a}'",
        "SELECT day::date AS timestamp, mail AS series FROM sales WHERE mail LIKE '%@shop.com'",
        "SELECT day, units FROM sales WHERE day >= :since AND day <= :until AND mail LIKE '%@shop%'",
        "day::date@shop",
        "-- see https://wiki.example.org/sales: ask @series and @timestamp of units",
    ],
)
@pytest.mark.parametrize("key", ["query", "description", "source"])
def test_sql_is_no_url(query, key):
    remember_document({"source": {key: query}})
    remember_text(f"  {key}: {query}\n")
    words = "45 series of sales: timestamp, units per day, since 2024 until now; series, AND day, text, shop"
    assert hide(words) == words


def test_a_password_within_sql_is_still_found():
    remember_document({"source": {"query": "SELECT * FROM dblink('postgresql://me:hunter2@shop/sales', 'x@y')"}})
    assert hide("hunter2 at shop, x@y of sales") == "*** at shop, x@y of sales"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("GOOGLE_APPLICATION_CREDENTIALS", "/srv/forecasts/gcp-key.json", "Wrote /srv/forecasts/reports/x.html"),
        ("CREDENTIALS_DIRECTORY", "/run/credentials/nightcast.service", "No credentials in nightcast.service"),
        ("MY_CREDENTIALS", "~/keys/gcp-key.json", "Wrote ~/keys/gcp-key.json"),
        ("MY_SECRET", "C:\\keys\\gcp-key.json", "gcp-key.json"),
        ("PASSENGER_ENV", "production", "production"),
        ("SMTP_AUTH", "login", "login failed"),
        ("KAFKA_AUTH", "scram-sha", "scram-sha failed"),
        ("TOKENIZERS_PARALLELISM", "parallel", "parallel nights"),
        ("DB_DSN", "postgresql://me@dbserver/sales_of_shop", "dbserver sales_of_shop"),
        ("AZURE_STORAGE_CONNECTION_STRING", "AccountName=shopname;AccountKey=a1B2c3D4e5==", "AccountName=shopname"),
        ("PREFECT_API_URL", "http://scheduler:4200/api/Forecasting2024", "scheduler:4200 Forecasting2024"),
        ("SOME_URL", "https://medium.example.org/path/@somebody:x", "path somebody medium.example.org"),
    ],
)
def test_a_place_a_word_and_a_host_of_the_environment_are_no_secrets(monkeypatch, name, value, text):
    monkeypatch.setenv(name, value)
    remember_environment()
    assert hide(text) == text


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        (
            "AWS_SECRET_ACCESS_KEY",
            "/rXUtnFEMIaK7MDENGbPxRfiCYEX4x9z",
            "/rXUtnFEMIaK7MDENGbPxRfiCYEX4x9z",
        ),
        ("PGPASSWORD", "p@ss/hunter2", "p@ss/hunter2"),
        ("AZURE_STORAGE_CONNECTION_STRING", "AccountName=shopname;AccountKey=a1B2c3D4e5==", "a1B2c3D4e5=="),
        ("HTTPS_PROXY", "http://me:hunter2x@proxy:3128", "hunter2x"),
        ("PIP_INDEX_URL", "https://ghp-token77@example.org/simple", "ghp-token77"),
        ("HOSTS", "a https://me:hunter2x@one.example.org and b", "hunter2x"),
        ("TEAMS_WEBHOOK", "https://hooks.example.org/T7Q9XKWZyR83", "T7Q9XKWZyR83"),
    ],
)
def test_the_secrets_of_the_environment_are_found(monkeypatch, name, value, secret):
    monkeypatch.setenv(name, value)
    remember_environment()
    assert secret not in hide(f"it said {secret}")


def test_only_notify_has_tokens_in_a_path_or_in_the_place_of_a_host():
    document = {
        "description": "see http://intranet/Forecasting2024/handbook, or ask: bob@example.org",
        "runner": {"dask": "tcp://dask-scheduler1:8786"},
        "source": {"url": "ibm_db_sa://server7/SALES2024", "table": "SHOP2024"},
        "output": {"parquet": "s3://Bucket2024/Forecasts2024"},
        "notify": {"webhook": "https://chat.example.org/ZyR83vbW77", "targets": ["${TARGET}"], "on": ["NewAlerts7"]},
    }
    remember_document(document)
    shown = "intranet/Forecasting2024/handbook tcp://dask-scheduler1:8786 server7/SALES2024 SHOP2024 NewAlerts7"
    shown += " s3://Bucket2024/Forecasts2024 bob@example.org chat.example.org"
    assert hide(shown) == shown
    assert hide("ZyR83vbW77") == "***"


def test_the_urls_of_a_long_text_are_found_in_steps_that_grow_with_its_length(monkeypatch):
    looked_at = list[int]()
    monkeypatch.setattr("sql.secrets.places.remember_url", lambda url: looked_at.append(len(url)))
    for text in (
        "x://" + "a" * 200_000,
        "a" * 200_000 + "://b",
        "x://a@" * 30_000,
        "://" * 60_000,
        "a://b c@d " * 9_000,
    ):
        looked_at.clear()
        remember_text(text)
        assert len(looked_at) <= 1_000
        assert sum(looked_at) <= len(text)


def test_hostile_texts_are_read_in_time_that_grows_with_their_length():
    for text in ("a=" * 50_000, "%3D" * 50_000 + "=x", "://" * 50_000, "a://" * 20_000, ":@" * 50_000, "x" * 200_000):
        remember_url(f"postgresql://host/db?{text}")
        remember_url(f"postgresql://me:{text}@host/db")
        remember_text(text)
    assert hide("host db") == "host db"
