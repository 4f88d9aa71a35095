"""A local file judged by a dataset's rules: ingest's cut and transform's readers, without an engine.

A file is read chunk by chunk, so the memory does not grow with it. Silver is not written: rows are counted, and the
first ones are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sluice.console import fail
from sluice.names import nearest, unknown
from sluice.paths import DATASETS_DIR
from sluice.pipeline.unlike import Columns, Unlike
from sluice_pipeline.catalog.datasets import MIXED

if TYPE_CHECKING:
    import pyarrow as pa

    from core.transform.content import Content
    from core.transform.rows import BadRow, PartitionedRows
    from sluice_pipeline.catalog.datasets import Catalog

CHUNK_BYTES: Final = 16 * 1024 * 1024
SINGLE_CHUNK_BYTES: Final = 64 * 1024 * 1024
"""As in infra/envs/dev.tfvars."""
SAMPLE: Final = 5  # silver rows of each dataset that are kept
SHOWN: Final = 20  # rejected rows that are kept
HEAD_BYTES: Final = 1024 * 1024
_BLOCK: Final = 1024 * 1024


@dataclass(frozen=True)
class Rejected:
    """A row that goes to quarantine. ``line`` counts from 1, None in a packed file; ``errors`` as in quarantine."""

    dataset: str
    offset: int
    raw: str
    errors: list[dict[str, str]]
    line: int | None = None


@dataclass
class Checked:
    """What would become of a file. ``failed``: why the whole object would fail; the counts are then of what was read.

    ``reasons`` counts errors by dataset, field and reason; a row may have several.
    """

    file: str
    dataset: str
    size: int
    form: str = ""
    chunks: int = 0
    rows_in: int = 0
    silver: dict[str, int] = field(default_factory=dict)
    rows_rejected: int = 0
    reasons: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    rejected: list[Rejected] = field(default_factory=list)
    unlike: list[Unlike] = field(default_factory=list)
    sample: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    trailing: int = 0
    failed: str = ""
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Every row goes to silver, with every column. A field that is optional and that no row has is no fault."""
        return not (self.failed or self.rows_rejected or any(one.loses_values for one in self.unlike))

    @property
    def rows_silver(self) -> int:
        return sum(self.silver.values())

    def to_dict(self) -> dict[str, Any]:
        reasons = [
            {"dataset": dataset, "field": name, "reason": reason, "errors": count}
            for (dataset, name, reason), count in self.reasons.most_common()
        ]
        own = {name: value for name, value in asdict(self).items() if name != "reasons"}
        return own | {"ok": self.ok, "rows_silver": self.rows_silver, "reasons": reasons}


@cache
def local_catalog(folder: Path = DATASETS_DIR) -> Catalog:
    """The datasets of this checkout. Ends with code 2 when a YAML file is wrong: file, field and reason."""
    from sluice_pipeline.catalog.compiler import compile_catalog
    from sluice_pipeline.catalog.datasets import parse_catalog
    from sluice_pipeline.catalog.errors import CatalogError

    try:
        return parse_catalog(compile_catalog(folder))
    except CatalogError as error:
        fail(f"{folder.name}/{error.file}: {error.field}: {error.reason}")


def prefixes(catalog: Catalog) -> list[str]:
    """The names that objects may be put under: the datasets, and ``mixed`` when rows are routed."""
    return [*sorted(catalog.datasets), *([MIXED] if catalog.knows(MIXED) else [])]


def require_dataset(catalog: Catalog, name: str) -> None:
    """Ends with code 2 when objects under this name would not be ingested."""
    if not catalog.knows(name):
        fail(unknown("dataset", name, prefixes(catalog)))


def require_file(path: Path) -> None:
    """Ends with code 2 when this is no file that can be read."""
    if path.is_dir():
        fail(f"{path} is a folder: name its files, such as {path}/*")
    if not path.exists():
        beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        close = nearest(path.name, beside)
        fail(f"there is no file {path}" + (f", did you mean {path.parent / close}?" if close else ""))
    if not path.is_file():
        fail(f"{path} is not a regular file")
    try:
        path.open("rb").close()
    except OSError as error:
        fail(f"cannot read {path}: {error.strerror}")


def check_file(
    path: Path,
    dataset: str,
    catalog: Catalog,
    *,
    shown: int = SHOWN,
    progress: Callable[[int, int], None] | None = None,
    head_only: bool = False,
) -> Checked:
    """Reads and judges a file as the pipeline would under ``bronze/<dataset>/``.

    ``progress`` gets the bytes read so far and in all. ``head_only``: the first chunk at most, of HEAD_BYTES.
    """
    size = path.stat().st_size
    with path.open("rb") as file:

        def read(start: int, end: int) -> bytes:
            file.seek(start)
            return file.read(max(0, end - start))

        checked = check_object(
            path.name, size, read, dataset, catalog, shown=shown, progress=progress, head_only=head_only
        )
        if checked.form and not checked.form.startswith("packed"):
            checked.rejected = list(_with_lines(checked.rejected, read))
    checked.file = str(path)
    return checked


def check_object(
    name: str,
    size: int,
    read: Callable[[int, int], bytes],
    dataset: str,
    catalog: Catalog,
    *,
    chunk_bytes: int = CHUNK_BYTES,
    shown: int = SHOWN,
    progress: Callable[[int, int], None] | None = None,
    head_only: bool = False,
) -> Checked:
    """As ``check_file``, for ``size`` bytes that ``read(start, end)`` gives."""
    from core.ingest.cut import Limits, cut
    from core.transform.content import of_chunk, partition
    from core.transform.unnamed import require_unfrozen
    from sluice_pipeline.objects import formats
    from sluice_pipeline.objects.failures import ObjectFailed

    key = f"bronze/{dataset}/{name}"
    checked = Checked(name, dataset, size)
    columns = Columns(catalog, dataset)
    head = read(0, min(size, formats.SNIFF_BYTES))
    packed = formats.is_gzip(head) or formats.is_utf16(head)
    if head_only:
        chunk_bytes = min(chunk_bytes, HEAD_BYTES)

    def blocks() -> Iterator[bytes]:
        return (read(at, min(size, at + _BLOCK)) for at in range(0, size, _BLOCK))

    try:
        limits = Limits(chunk_bytes, SINGLE_CHUNK_BYTES)
        chunks = cut(key, size, head, blocks, catalog.datasets.get(dataset), limits)
        checked.chunks = len(chunks)
        for chunk in chunks[:1] if head_only else chunks:
            content = of_chunk(key, chunk, read, size, limits.single_chunk_bytes, catalog, dataset)
            rows = partition(content, catalog, dataset)
            require_unfrozen(rows.sights, catalog)
            checked.form = f"packed {_form(content)}" if packed else _form(content)
            checked.trailing += content.trailing
            _add(checked, rows, shown)
            columns.look(content, rows)
            if progress:
                progress(chunk.end, size)
    except ObjectFailed as error:
        checked.failed, checked.detail = str(error.code), error.detail
    checked.unlike = columns.unlike()
    return checked


def _form(content: Content) -> str:
    from core.transform.readers import CsvReader

    return "CSV" if isinstance(content.reader, CsvReader) else "JSON"


def _add(checked: Checked, rows: PartitionedRows, shown: int) -> None:
    checked.rows_in += rows.rows_in
    checked.rows_rejected += len(rows.bad)
    for name, table in rows.tables.items():
        checked.silver[name] = checked.silver.get(name, 0) + table.num_rows
        kept = checked.sample.setdefault(name, [])
        kept += _readable(table.slice(0, SAMPLE - len(kept)))
    for bad in rows.bad:
        checked.reasons.update((bad.dataset, error.field, str(error.reason)) for error in bad.errors)
    room = shown - len(checked.rejected)
    checked.rejected += [_rejected(bad) for bad in sorted(rows.bad, key=lambda row: row.offset)[: max(0, room)]]


def _rejected(bad: BadRow) -> Rejected:
    errors = [{name: str(value) for name, value in error._asdict().items()} for error in bad.errors]
    return Rejected(bad.dataset, bad.offset, bad.raw.decode("utf-8", "replace"), errors)


def _readable(table: pa.Table) -> list[dict[str, Any]]:
    """Rows as typed, without their offsets; times as text, because Python's cannot hold all of silver's."""
    import pyarrow as pa

    from core.transform.rows import OFFSET

    columns = {
        name: table[name].cast(pa.string())
        if pa.types.is_timestamp(table[name].type) or pa.types.is_date(table[name].type)
        else table[name]
        for name in table.column_names
        if name != OFFSET
    }
    return list(pa.table(columns).to_pylist())


def _with_lines(rejected: list[Rejected], read: Callable[[int, int], bytes]) -> Iterator[Rejected]:
    """The rows with the numbers of their lines; offsets ascend."""
    line, at = 1, 0
    for row in rejected:
        for start in range(at, row.offset, _BLOCK):
            line += read(start, min(row.offset, start + _BLOCK)).count(b"\n")
        at = row.offset
        yield Rejected(row.dataset, row.offset, row.raw, row.errors, line)
