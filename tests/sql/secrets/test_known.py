"""A secret that is known leaves no trace in a text, however it is written there; other text stays as it is."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sql.secrets.known import forget_all, hide, remember, remember_as

SECRETS = [
    "hunter2-Kx9",
    "p@ss/word:hunter2",
    "ends#with?query&x=Kx93Lm",
    "it's \"quoted\\ Kx93Lm",
    "with blanks in Kx93Lm",
    "pässwörd-ключ-密码密码密码",
    "h%23nter%2Fs3cret",
    "a+b=c//Zm9vYmFyYmF6==",
]


def leaks(secret: str, text: str, length: int = 6) -> list[str]:
    return [part for i in range(len(secret) - length + 1) if (part := secret[i : i + length]) in text]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "written",
    [
        str,
        repr,
        ascii,
        json.dumps,
        lambda secret: json.dumps(secret, ensure_ascii=False),
        lambda secret: quote(secret, safe=""),
        lambda secret: (
            quote(secret, safe="")
            .replace("%2F", "%2f")
            .replace("%3A", "%3a")
            .replace("%2B", "%2b")
            .replace("%3D", "%3d")
        ),
        quote_plus,
        html.escape,
        lambda secret: "'" + secret.replace("'", "''") + "'",
        lambda secret: f"x{secret}y",
        lambda secret: f"password={secret} host=db",
    ],
)
def test_a_secret_is_found_in_every_form(secret, written):
    remember(secret)
    text = f"before {written(secret)} after"
    assert leaks(secret, hide(text)) == []
    assert secret.lower()[-6:] not in hide(text)
    assert hide(text).startswith("before ")
    assert hide(text).endswith(" after")


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_with_its_user_in_base64_is_found_where_it_stands_alone(secret):
    remember(secret)
    assert hide(base64.b64encode(secret.encode()).decode()).rstrip("=") == "***"


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("end", ["", "…", "...", "'.", '")'])
def test_the_beginning_of_a_secret_that_was_cut_off_is_found(secret, end):
    remember(secret)
    for length in range(6, len(secret)):
        if secret[:length].isalpha() and end not in ("…", "..."):
            continue
        assert leaks(secret, hide(f"could not read {secret[:length]}{end}")) == []


def test_what_a_driver_takes_for_the_host_is_a_part_of_the_password():
    remember("p@ss-777/word-88")
    assert hide('could not translate host name "ss-777" to address') == 'could not translate host name "***" to address'
    assert hide("database word-88@host of ss-777/word-88") == "database ***@host of ***"


def test_a_value_that_is_short_or_public_hides_nothing():
    for value in ("abc", "", "reader", "${NAME}", "postgresql"):
        remember(value, visible=("reader",))
    text = "abc reader ${NAME} postgresql+psycopg://"
    assert hide(text) == text


def test_an_ordinary_word_is_hidden_as_a_word_only():
    remember("correct")
    assert hide("correct, incorrectly") == "***, incorrectly"


def test_a_value_of_the_environment_is_written_as_its_name():
    remember_as("/data/shop.db", "${SHOP}")
    assert hide("There is no SQLite file /data/shop.db in /data") == "There is no SQLite file ${SHOP} in /data"


@given(st.text(min_size=4, max_size=40), st.text(max_size=60), st.text(max_size=60))
def test_whatever_a_secret_is_it_is_not_in_a_text_that_was_hidden(secret, before, after):
    forget_all()
    remember(secret)
    known = hide(secret) != secret
    hidden = hide(f"{before} {secret} {after}")
    assert not known or secret not in hidden
    assert hide(hidden) == hidden
    forget_all()
    assert hide(f"{before}{secret}") == f"{before}{secret}"


@pytest.mark.parametrize("secret", ["a", "user", "sales", "history", "forecast", "series", "abc12"])
def test_a_short_secret_and_a_word_of_the_product_are_hidden_only_where_a_password_stands(secret):
    remember(secret)
    text = f"the {secret} of user a: {secret}, series_{secret} = {secret}; forecast of sales history abc12"
    assert hide(text) == text
    assert hide(f"postgresql://me:{secret}@shop, password={secret}, 'token': '{secret}', pwd = '{secret}'") == (
        "postgresql://me:***@shop, password=***, 'token': '***', pwd = '***'"
    )


def test_a_secret_in_digits_is_no_part_of_another_number():
    remember("123456")
    assert hide("0.8123456, 123456.5, 1,123456, 1234567; PIN 123456.") == (
        "0.8123456, 123456.5, 1,123456, 1234567; PIN ***."
    )


def test_a_path_of_the_environment_is_not_replaced_within_another_path():
    remember_as("/data/lake", "${LAKE}")
    assert hide("parquet:////data/lake holds no files; '/data/lake'") == "parquet:///${LAKE} holds no files; '${LAKE}'"
    for other in ("/data/lake/reports/x.html", "/data/lake-old", "/data/lake.db", "/srv/data/lake"):
        assert hide(f"Wrote {other}.") == f"Wrote {other}."
