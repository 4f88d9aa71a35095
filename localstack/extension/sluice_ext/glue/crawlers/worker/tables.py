"""Which files are one table, and which folders are its partitions.

https://docs.aws.amazon.com/glue/latest/dg/crawler-s3-folder-table-partition.html
https://docs.aws.amazon.com/glue/latest/dg/crawler-grouping-policy.html
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from sluice_ext.glue.crawlers.worker import schemas
from sluice_ext.glue.crawlers.worker.samples import Sample
from sluice_ext.glue.crawlers.worker.schemas import Columns

_HIVE = re.compile(r"([^=/]+)=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Grouping:
    """``combine``: the similarity of schemas does not count. ``level``: where tables are; a bucket is level 1."""

    combine: bool = False
    level: int | None = None


@dataclass
class Folder:
    """A folder of S3. ``path``: "bucket/a/b/"."""

    path: str
    files: list[Sample] = field(default_factory=list)
    folders: dict[str, "Folder"] = field(default_factory=dict)

    @property
    def level(self) -> int:
        return self.path.count("/")


@dataclass
class Leaf:
    """A folder that holds files of a table: the values of the partition keys, and what its files have."""

    path: str
    samples: list[Sample]
    columns: Columns
    values: tuple[str, ...] = ()


@dataclass
class Candidate:
    """What may become a table: its place, and the name of each partition key (None: the folder's name tells none)."""

    path: str
    kind: tuple[str, ...]
    columns: Columns
    leaves: list[Leaf]
    keys: tuple[str | None, ...] = ()

    @property
    def shape(self) -> tuple[Any, ...]:
        """Candidates of different shapes are never partitions of one table."""
        return (self.kind, self.keys)


def find(samples: Iterable[Sample], root: str, grouping: Grouping) -> list[Candidate]:
    """The tables at and below ``root`` ("bucket/a/b/"), in the order of their places."""
    return sorted(_resolve(_tree(samples, root), grouping), key=lambda one: one.path)


def _tree(samples: Iterable[Sample], root: str) -> Folder:
    top = Folder(root)
    for sample in samples:
        folder, parts = top, sample.place.removeprefix(root).split("/")
        for part in parts[:-1]:
            folder = folder.folders.setdefault(part, Folder(f"{folder.path}{part}/"))
        folder.files.append(sample)
    return top


def _resolve(folder: Folder, grouping: Grouping) -> list[Candidate]:
    found = [one for name in sorted(folder.folders) for one in _resolve(folder.folders[name], grouping)]
    own = _of_files(folder, grouping, alone=not folder.folders)
    return own + (_of_folders(folder, found, grouping) if found else [])


# -- files of a folder -------------------------------------------------------------------------------------------------


def _of_files(folder: Folder, grouping: Grouping, alone: bool) -> list[Candidate]:
    """One table of the folder when most of its files are alike; each other file is a table of its own."""
    if not folder.files:
        return []
    found: list[Leaf] = []
    kinds: list[tuple[str, ...]] = []
    for sample in folder.files:
        columns = dict(sample.columns)
        at = _place_for(sample.kind, columns, kinds, [leaf.columns for leaf in found], grouping)
        if at is None:
            found.append(Leaf(folder.path, [sample], columns))
            kinds.append(sample.kind)
        else:
            found[at].samples.append(sample)
            found[at].columns = schemas.merge_columns(found[at].columns, columns)
    largest = max(range(len(found)), key=lambda at: len(found[at].samples))
    made = []
    for at, leaf in enumerate(found):
        if alone and at == largest and 2 * len(leaf.samples) > len(folder.files):
            made.append(Candidate(folder.path, kinds[at], leaf.columns, [leaf]))
            continue
        for one in leaf.samples:
            columns = dict(one.columns)
            made.append(Candidate(one.place, one.kind, columns, [Leaf(one.place, [one], columns)]))
    return made


def _place_for(
    kind: tuple[Any, ...], columns: Columns, kinds: Sequence[tuple[Any, ...]], known: Sequence[Columns], how: Grouping
) -> int | None:
    for at, other in enumerate(kinds):
        if other == kind and (how.combine or schemas.similar(known[at], columns)):
            return at
    return None


# -- folders of a folder -----------------------------------------------------------------------------------------------


def _of_folders(folder: Folder, found: list[Candidate], grouping: Grouping) -> list[Candidate]:
    """One table with another partition key, when most folders are alike; otherwise what the folders are."""
    if grouping.level is not None and folder.level < grouping.level:
        return found
    partitions = [one for one in found if _is_child(folder, one)]
    clusters: list[list[Candidate]] = []
    shapes: list[tuple[Any, ...]] = []
    known: list[Columns] = []
    for one in partitions:
        shape = (*one.shape, _hive(_name(one.path))[0])
        at = _place_for(shape, one.columns, shapes, known, grouping)
        if at is None:
            clusters.append([one])
            shapes.append(shape)
            known.append(one.columns)
        else:
            clusters[at].append(one)
            known[at] = schemas.merge_columns(known[at], one.columns)
    if not clusters:
        return found
    largest = max(range(len(clusters)), key=lambda at: len(clusters[at]))
    cluster = clusters[largest]
    forced = grouping.combine or grouping.level is not None
    majority = 2 * len(cluster) > len(folder.folders)
    named = shapes[largest][-1] is not None
    if not (forced or (majority and (named or len(cluster) > 1))):
        return found
    merged = _merged(folder, cluster, shapes[largest][-1], known[largest])
    return [merged, *(one for one in found if not any(one is part for part in cluster))]


def _is_child(folder: Folder, one: Candidate) -> bool:
    rest = one.path.removeprefix(folder.path)
    return rest.endswith("/") and "/" not in rest[:-1]


def _merged(folder: Folder, cluster: list[Candidate], key: str | None, columns: Columns) -> Candidate:
    leaves = []
    for one in cluster:
        value = _hive(_name(one.path))[1]
        for leaf in one.leaves:
            leaves.append(Leaf(leaf.path, leaf.samples, leaf.columns, (value, *leaf.values)))
    return Candidate(folder.path, cluster[0].kind, columns, leaves, (key, *cluster[0].keys))


def _name(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]


def _hive(name: str) -> tuple[str | None, str]:
    """(key, value) of a folder ``key=value``, (None, name) of another one."""
    found = _HIVE.fullmatch(name)
    return (found[1].lower(), unquote(found[2])) if found else (None, name)


# -- as the catalog has them -------------------------------------------------------------------------------------------


def describe(candidate: Candidate, prefix: str) -> dict[str, Any]:
    """{"name", "location", "format", "columns", "keys", "partitions", "details", "statistics", "hidden"}.

    ``hidden``: columns of the files that a partition key of the same name hides.
    """
    keys = _keys(candidate)
    hidden = [name for name in candidate.columns if name in keys]
    partitions = [
        {
            "values": list(leaf.values),
            "location": f"s3://{leaf.path}",
            "columns": _shown(leaf.columns, hidden),
            "statistics": _statistics(leaf.samples),
        }
        for leaf in candidate.leaves
    ]
    samples = [sample for leaf in candidate.leaves for sample in leaf.samples]
    return {
        "name": table_name(candidate.path, prefix),
        "location": f"s3://{candidate.path}",
        "format": candidate.kind[0],
        "compression": candidate.kind[1],
        "columns": _shown(candidate.columns, hidden),
        "keys": keys,
        "partitions": partitions if keys else [],
        "details": _details(samples),
        "statistics": _statistics(samples),
        "hidden": hidden,
    }


def _keys(candidate: Candidate) -> list[str]:
    """Names of the partition keys; those that the folders do not name are partition_0, partition_1, ..."""
    made: list[str] = []
    for at, name in enumerate(candidate.keys):
        made.append(name if name and name not in made else f"partition_{at}")
    return made


def _shown(columns: Columns, hidden: list[str]) -> list[list[str]]:
    return [[name, schemas.hive(kind)] for name, kind in columns.items() if name not in hidden]


def _details(samples: list[Sample]) -> dict[str, str]:
    """Of the first file: a header is skipped in every file or in none."""
    return dict(samples[0].details)


def _statistics(samples: list[Sample]) -> dict[str, int]:
    return {
        "objectCount": len(samples),
        "sizeKey": sum(sample.size for sample in samples),
        "recordCount": sum(sample.records for sample in samples),
    }


def table_name(path: str, prefix: str) -> str:
    """The table of "bucket/a/Year=2017/" is year_2017."""
    return prefix.lower() + (re.sub(r"[^a-z0-9_]", "_", _name(path).lower()) or "_")


def other_name(name: str, location: str) -> str:
    """The name of a second table of that name: AWS adds a hash, too."""
    return f"{name}_{hashlib.md5(location.encode(), usedforsecurity=False).hexdigest()}"
