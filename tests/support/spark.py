"""What tests of Glue's Spark jobs need: Java. The first of them sets up the environment of Spark, as users' jobs do."""

import shutil

import pytest

needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no Java on the PATH: Glue's Spark jobs need it")
