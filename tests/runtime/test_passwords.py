import pytest

from memspan.runtime.passwords import without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("got 'mysql://me:secret@host/x'", "got 'mysql://me:***@host/x'"),
        ("postgresql+psycopg2://me:a:b/c@d e@host:5432/x?a=1", "postgresql+psycopg2://me:***@host:5432/x?a=1"),
        ("postgresql:/me:secret@host", "postgresql:/me:***@host"),
        ("mysql:me:secret@host", "mysql:me:***@host"),
        ("redis://:secret@host", "redis://:***@host"),
        ("//h/x?password=secret&user=me", "//h/x?password=***&user=me"),
        ("connection to 'host=h password=secret port=1'", "connection to 'host=h password=*** port=1'"),
        ("password='my secret' x", "password=*** x"),
        ("SSLPASSWORD=secret", "SSLPASSWORD=***"),
        ("postgresql://me@host/x", "postgresql://me@host/x"),
        ("tcp://10.0.0.1:8786", "tcp://10.0.0.1:8786"),
        ("/data/me@here/a:b.sqlite", "/data/me@here/a:b.sqlite"),
        ("password authentication failed for user 'me'", "password authentication failed for user 'me'"),
    ],
)
def test_passwords_are_hidden_and_all_else_is_shown(text, shown):
    assert without_passwords(text) == shown
