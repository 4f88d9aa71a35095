"""A verdict as a page of HTML: it needs no other file and no network, and every value in it is escaped."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1c2733}"
    "table{border-collapse:collapse;width:100%;margin:0 0 1.5rem}"
    "th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid #d8dee4}"
    "td.n{text-align:right;font-variant-numeric:tabular-nums}code{overflow-wrap:anywhere}"
    ".passed{color:#116329}.failed{color:#a40e26}.warned{color:#7d4e00}ul{margin:0;padding-left:1.1rem}"
)
_COLUMNS: Final = ("expectation", "expected", "severity", "result", "rows", "failed", "observed or first failed rows")


def page_of(verdict: Mapping[str, Any]) -> str:
    """``verdict``: as the file has it."""
    title = f"{verdict['dataset']} {verdict['object_id']}, run {verdict['run']}"
    result = "passed" if verdict["passed"] else "failed"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width">',
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>",
        f'<h1>{_text(title)}: <span class="{result}">{result}</span></h1>',
        f"<p>{_text(verdict['rows'])} rows, audited at {_text(verdict['audited_at'])} by {_text(verdict['engine'])}, "
        f"rules <code>{_text(verdict['rules'] or 'unknown')}</code>, file <code>{_text(verdict['key'])}</code></p>",
    ]
    for name, part in sorted(verdict["datasets"].items()):
        parts += [f"<h2>{_text(name)}: {_text(part['rows'])} rows</h2>", *_table(part["expectations"])]
    return "\n".join([*parts, "</body></html>", ""])


def _table(expectations: list[Mapping[str, Any]]) -> Iterator[str]:
    if not expectations:
        yield "<p>Nothing is expected.</p>"
        return
    yield "<table><thead><tr>" + "".join(f"<th>{name}</th>" for name in _COLUMNS) + "</tr></thead><tbody>"
    yield from map(_row, expectations)
    yield "</tbody></table>"


def _row(one: Mapping[str, Any]) -> str:
    result = "passed" if one["passed"] else "failed" if one["hard"] else "warned"
    mostly = f" for {one['mostly']:.6g} of the rows" if one["mostly"] < 1 else ""
    cells = [
        f"<td>{_text(one['name'])}<br><code>{_text(one['expectation'])}</code></td>",
        f"<td>{_text(one['expected'])}{_text(mostly)}</td>",
        f"<td>{'hard' if one['hard'] else 'soft'}</td>",
        f'<td class="{result}">{"passed" if one["passed"] else "failed"}</td>',
        f'<td class="n">{_text(one["rows"])}</td>',
        f'<td class="n">{_text(one["failed"])}</td>',
        f"<td>{_text(one['observed'])}{_samples(one['samples'])}</td>",
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _samples(samples: list[Mapping[str, Any]]) -> str:
    if not samples:
        return ""
    lines = (
        f"<li><code>{_value(one['value'])}</code> in <code>{_text(one['record_id'])}</code></li>" for one in samples
    )
    return f"<ul>{''.join(lines)}</ul>"


def _value(value: Any) -> str:
    return "no value" if value is None else _text(value)


def _text(value: Any) -> str:
    return escape(str(value))
