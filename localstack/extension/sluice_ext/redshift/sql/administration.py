"""Users, rights, schemas and settings: statements that are read by their words, not as a tree.

Names of users keep their case when they are quoted: ``"IAMR:Loader"`` is the role Loader of IAM.
"""

from typing import Final

from sluice_ext.redshift.sql.errors import Malformed, Unsupported
from sluice_ext.redshift.sql.rewriting import Text, without_words

Found = tuple[str, str, bool]  # kind, SQL for PostgreSQL, whether it returns rows

_UNSUPPORTED: Final = {
    ("CREATE", "EXTERNAL"), ("CREATE", "MODEL"), ("CREATE", "DATASHARE"), ("CREATE", "LIBRARY"),
    ("CREATE", "PROCEDURE"), ("CREATE", "FUNCTION"), ("CREATE", "DATABASE"), ("CREATE", "RLS"), ("CREATE", "MASKING"),
    ("CREATE", "IDENTITY"), ("ALTER", "EXTERNAL"), ("ALTER", "DATASHARE"), ("ALTER", "MODEL"), ("ALTER", "DATABASE"),
    ("ALTER", "PROCEDURE"), ("ALTER", "FUNCTION"), ("ALTER", "RLS"), ("ALTER", "MASKING"), ("ALTER", "IDENTITY"),
    ("DROP", "MODEL"), ("DROP", "DATASHARE"), ("DROP", "LIBRARY"), ("DROP", "PROCEDURE"), ("DROP", "FUNCTION"),
    ("DROP", "DATABASE"), ("DROP", "EXTERNAL"), ("DROP", "RLS"), ("DROP", "MASKING"), ("DROP", "IDENTITY"),
    ("ATTACH", "RLS"), ("ATTACH", "MASKING"), ("DETACH", "RLS"), ("DETACH", "MASKING"), ("DESC", "DATASHARE"),
    ("SHOW", "DATASHARES"), ("SHOW", "MODEL"), ("SHOW", "PROCEDURE"), ("SHOW", "TABLE"), ("SHOW", "VIEW"),
    ("SHOW", "EXTERNAL"), ("SHOW", "GRANTS"), ("SHOW", "PARAMETERS"), ("USE", ""),
}  # fmt: skip
_UNSUPPORTED_VERBS: Final = {"CALL", "CANCEL", "PREPARE", "EXECUTE", "DEALLOCATE", "INVOKE", "USE", "ATTACH", "DETACH"}
# Redshift's settings that change no result here, under PostgreSQL's own rule for names that it does not know.
# https://docs.aws.amazon.com/redshift/latest/dg/cm_chap_ConfigurationRef.html
_SETTINGS: Final = {
    "query_group", "enable_result_cache_for_session", "wlm_query_slot_count", "analyze_threshold_percent",
    "auto_analyze", "mv_enable_aqmv_for_session", "enable_vacuum_boost", "max_cursor_result_set_size",
    "use_fips_ssl", "describe_field_name_in_uppercase", "spectrum_query_maxerror", "stored_proc_log_min_messages",
    "enable_numeric_rounding", "error_on_nondeterministic_update", "datashare_break_glass_session_var",
}  # fmt: skip
_OWN: Final = {
    "search_path", "statement_timeout", "datestyle", "timezone", "extra_float_digits", "client_encoding",
    "application_name", "session", "transaction", "local", "time", "names",
}  # fmt: skip


def translate(text: Text) -> Found | None:
    """None when the statement is read as a tree. Raises Unsupported and Malformed."""
    verb, noun = text.upper(0), text.upper(1)
    if noun == "OR" and text.upper(2) == "REPLACE":
        noun = text.upper(3)
    if (verb, noun) in _UNSUPPORTED or verb in _UNSUPPORTED_VERBS:
        raise Unsupported(f"{verb} {noun}".strip() if (verb, noun) in _UNSUPPORTED else verb)
    if verb in ("GRANT", "REVOKE"):
        return _rights(text)
    if noun in ("USER", "GROUP", "ROLE") and verb in ("CREATE", "ALTER", "DROP"):
        return _users(text)
    if noun == "SCHEMA" and verb in ("CREATE", "ALTER"):
        return _schema(text)
    if noun == "DEFAULT" and text.upper(2) == "PRIVILEGES":
        return "ddl", text.written(), False
    if verb in ("SET", "RESET"):
        return _setting(text)
    if verb == "SHOW":
        return _show(text)
    if verb == "REFRESH":
        return "ddl", _without(text, ("CASCADE", "RESTRICT")), False
    if verb == "CREATE" and noun == "MATERIALIZED":
        return None
    return None


def _without(text: Text, words: tuple[str, ...]) -> str:
    for at in range(len(text.words)):
        if text.upper(at) in words:
            text.remove(at, at + 1)
    return text.written()


def _rights(text: Text) -> Found:
    words = [text.upper(at) for at in range(len(text.words))]
    for refused in ("ASSUMEROLE", "MODEL", "DATASHARE", "PROCEDURE", "FUNCTION", "LANGUAGE", "EXPLAIN", "IGNORE"):
        if refused in words:
            raise Unsupported(f"{words[0]} {refused}")
    at = next((n for n, word in enumerate(words) if word in ("TO", "FROM")), len(words))
    for n in range(at, len(words)):
        if words[n] == "ROLE":
            text.remove(n, n + 1)
    if "ON" not in words:  # a role to a user
        for n in range(at):
            if words[n] == "ROLE":
                text.remove(n, n + 1)
    without_words(text)
    return "ddl", text.written(), False


def _users(text: Text) -> Found:
    """PASSWORD DISABLE is no password. https://docs.aws.amazon.com/redshift/latest/dg/r_CREATE_USER.html"""
    for at in range(2, len(text.words)):
        word = text.upper(at)
        if word == "DISABLE" and text.upper(at - 1) == "PASSWORD":
            text.replace(at, "NULL")
        elif word in ("CREATEUSER", "NOCREATEUSER"):
            text.replace(at, word.replace("USER", "ROLE"))
        elif word == "SYSLOG":
            text.remove(at, at + 3)
        elif word in ("EXTERNALID", "SESSION"):
            raise Unsupported(f"{text.upper(0)} {text.upper(1)} {word}")
    return "ddl", text.written(), False


def _schema(text: Text) -> Found:
    for at in range(2, len(text.words)):
        if text.upper(at) == "QUOTA":
            text.remove(at, len(text.words))
    if text.written().rstrip().upper() == "ALTER SCHEMA":
        raise Malformed("ERROR: syntax error at end of input")
    without_words(text)
    return "ddl", text.written(), False


def _setting(text: Text) -> Found:
    name = text.upper(1).lower()
    if name == "enable_case_sensitive_identifier":
        if text.upper(len(text.words) - 1) in ("TRUE", "ON", "1"):
            raise Unsupported("enable_case_sensitive_identifier")
        name = "query_group"
        text.replace(1, "redshift.enable_case_sensitive_identifier")
    elif name in _SETTINGS:
        text.replace(1, f"redshift.{name}")
    elif name not in _OWN and text.upper(2) != ".":
        raise Malformed(f'ERROR: unrecognized configuration parameter "{name}"')
    return "other", text.written(), False


def _show(text: Text) -> Found:
    """https://docs.aws.amazon.com/redshift/latest/dg/r_SHOW_TABLES.html"""
    noun = text.upper(1)
    if noun == "DATABASES":
        return "select", "SELECT database_name FROM redshift_compat.svv_redshift_databases", True
    if noun == "SCHEMAS":
        return (
            "select",
            "SELECT database_name, schema_name, schema_owner, schema_type FROM redshift_compat.svv_all_schemas",
            True,
        )
    if noun in ("TABLES", "COLUMNS"):
        raise Unsupported(f"SHOW {noun}")
    name = noun.lower()
    if name in _SETTINGS:
        return "select", f"SELECT coalesce(current_setting('redshift.{name}', true), '') AS {name}", True
    return "select", text.written(), True
