"""What Sluice adds to the open LocalStack. Entry points only: LocalStack itself is never edited."""

__version__ = "1.0.0"
