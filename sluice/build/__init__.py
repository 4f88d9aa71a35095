"""Packaging: functions and layers as reproducible zips, with a manifest of what was made from what."""

from sluice.build.artifacts import BuiltArtifact, Manifest, build, load_manifest

__all__ = ["BuiltArtifact", "Manifest", "build", "load_manifest"]
