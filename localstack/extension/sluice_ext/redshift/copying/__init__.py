"""COPY and UNLOAD: rows between S3 and a table."""

from sluice_ext.redshift.copying.errors import LoadFailed
from sluice_ext.redshift.copying.loading import CopyResult, copy
from sluice_ext.redshift.copying.unloading import unload

__all__ = ["CopyResult", "LoadFailed", "copy", "unload"]
