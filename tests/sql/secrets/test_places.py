"""Where secrets are looked for: URLs of every kind, variables, and job files that are none yet."""

from __future__ import annotations

import pytest

from sql.secrets.known import hide
from sql.secrets.places import (
    names_secret,
    remember_document,
    remember_environment,
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
        ("https://hooks.slack.com/services/T0ABCDEF/B0ABCDEF/XyZ123abc", "XyZ123abc", "hooks.slack.com services"),
        ("https://hooks.slack.com/services/T0ABCDEF/B0ABCDEF/XyZ123abc", "T0ABCDEF/B0ABCDEF", "hooks.slack.com"),
        ("https://me:hunter2@example.org/in", "hunter2", "example.org"),
        ("https://ghp-token77@example.org/in", "ghp-token77", "example.org"),
        ("https://example.org/in?sig=aBc%2Fdef123", "aBc/def123", "example.org"),
        ("slack://TokenA1234/TokenB1234/TokenC1234/#ops", "TokenA1234", "ops"),
        ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "jhmhi8qbe7bk2zwo5u711o3dv_js", ""),
        ("mailtos://robot:hunter2@example.org?to=ops@example.org", "hunter2", "example.org"),
        ("tgram://123456789:AAbbCC-dd/98765", "AAbbCC-dd", ""),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3D%7BX%7D%3BSERVER%3Dshop%3BPWD%3Dhunter2", "hunter2", "shop"),
        ("host=shop user=me password=hunter2", "hunter2", "shop me"),
    ],
)
def test_the_secrets_of_a_url_are_hidden_and_the_rest_stays(url, secret, shown):
    remember_url(url)
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


def test_hostile_texts_are_read_in_time_that_grows_with_their_length():
    for text in ("a=" * 50_000, "%3D" * 50_000 + "=x", "://" * 50_000, "a://" * 20_000, ":@" * 50_000, "x" * 200_000):
        remember_url(f"postgresql://host/db?{text}")
        remember_url(f"postgresql://me:{text}@host/db")
        remember_text(text)
    assert hide("host db") == "host db"
