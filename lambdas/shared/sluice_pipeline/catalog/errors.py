"""What can be wrong with a dataset's file."""


class CatalogError(ValueError):
    """A dataset file is wrong: says which file, which field of it, and why."""

    def __init__(self, file: str, field: str, reason: str) -> None:
        super().__init__(f"{file}: {field}: {reason}")
        self.file = file
        self.field = field
        self.reason = reason


class InvalidSetting(ValueError):
    """A setting of a branch's section is wrong: ``setting`` is its path in the section, empty for the section itself.

    ``dataset`` is set by checks that compare several datasets.
    """

    def __init__(self, setting: str, reason: str, dataset: str = "") -> None:
        super().__init__(f"{setting}: {reason}")
        self.setting = setting
        self.reason = reason
        self.dataset = dataset

    def in_section(self, file: str, section: str) -> CatalogError:
        """The same error with the file and the section that the setting is in."""
        return CatalogError(file, f"{section}.{self.setting}".rstrip("."), self.reason)
