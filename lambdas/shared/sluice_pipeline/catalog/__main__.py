"""Prints the JSON Schema of a dataset's YAML: ``python -m sluice_pipeline.catalog > datasets/schema.json``."""

import json

from sluice_pipeline.catalog.dataset_schema import json_schema

print(json.dumps(json_schema(), indent=2))
