"""Event patterns: which events a rule, a mapping or a subscription wants. Nothing here knows LocalStack.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern.html
"""

from sluice_ext.patterns.compiling import compile_pattern
from sluice_ext.patterns.dialects import EVENTBRIDGE, MAPPING, SNS
from sluice_ext.patterns.matching import matches
from sluice_ext.patterns.values import InvalidPattern, loads

__all__ = ["EVENTBRIDGE", "MAPPING", "SNS", "InvalidPattern", "compile_pattern", "loads", "matches"]
