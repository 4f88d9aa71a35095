"""List prices of AWS, with their units. Pure: a price is asked with an amount of its own unit, or refuses.

The figures are for us-east-1, on demand, without free tiers and without discounts for volume.
"""

from __future__ import annotations

from dataclasses import dataclass

AS_OF = "2026-11-27"
"""When the figures were last compared with texts that quote AWS's pages. Look at a price's page before you decide."""
REGION = "us-east-1"

GIB = 2**30
"""What AWS calls a GB where it bills storage, memory and logs:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/aws-usage-report-understand.html"""


@dataclass(frozen=True)
class Amount:
    """So many of a unit: ``requests``, ``GB-seconds``, ``GB-months``, ``ACU-hours`` ..."""

    value: float
    unit: str

    def __post_init__(self) -> None:
        if not self.value >= 0:  # NaN, too
            raise ValueError(f"{self.value} {self.unit} is no amount")


@dataclass(frozen=True)
class Price:
    """So many dollars for ``per`` of a unit, as AWS's page has it."""

    name: str
    dollars: float
    per: float
    unit: str
    page: str

    def of(self, amount: Amount) -> float:
        """Dollars. Raises ValueError for an amount of another unit, which is how costs become wrong by 1,000 times."""
        if amount.unit != self.unit:
            raise ValueError(f"{self.name} is priced by {self.unit}, not by {amount.unit}")
        return amount.value / self.per * self.dollars

    @property
    def text(self) -> str:
        """As on AWS's page: ``0.2 dollars for 1,000,000 requests``."""
        return f"{self.dollars:g} dollars for {self.per:,.0f} {self.unit}"


_PRICING = "https://aws.amazon.com"
MILLION, THOUSAND = 1e6, 1e3

S3_STORAGE = Price("S3 storage", 0.023, 1, "GB-months", f"{_PRICING}/s3/pricing/")
S3_PUTS = Price("S3 puts", 0.005, THOUSAND, "requests", f"{_PRICING}/s3/pricing/")
S3_GETS = Price("S3 gets", 0.0004, THOUSAND, "requests", f"{_PRICING}/s3/pricing/")
SQS_REQUESTS = Price("SQS requests", 0.40, MILLION, "requests", f"{_PRICING}/sqs/pricing/")
"""Each 64 KB of a message is a request; the pipeline's are smaller."""
LAMBDA_REQUESTS = Price("Lambda requests", 0.20, MILLION, "requests", f"{_PRICING}/lambda/pricing/")
LAMBDA_COMPUTE = Price("Lambda compute", 0.0000166667, 1, "GB-seconds", f"{_PRICING}/lambda/pricing/")
WRITE_UNITS = Price("DynamoDB writes", 0.625, MILLION, "write units", f"{_PRICING}/dynamodb/pricing/on-demand/")
READ_UNITS = Price("DynamoDB reads", 0.125, MILLION, "read units", f"{_PRICING}/dynamodb/pricing/on-demand/")
TABLE_STORAGE = Price("DynamoDB storage", 0.25, 1, "GB-months", f"{_PRICING}/dynamodb/pricing/on-demand/")
EVENTS = Price("EventBridge events", 1.00, MILLION, "events", f"{_PRICING}/eventbridge/pricing/")
LOGS = Price("CloudWatch Logs", 0.50, 1, "GB", f"{_PRICING}/cloudwatch/pricing/")
AURORA_CAPACITY = Price("Aurora capacity", 0.12, 1, "ACU-hours", f"{_PRICING}/rds/aurora/pricing/")
AURORA_IO = Price("Aurora input and output", 0.20, MILLION, "requests", f"{_PRICING}/rds/aurora/pricing/")
AURORA_STORAGE = Price("Aurora storage", 0.10, 1, "GB-months", f"{_PRICING}/rds/aurora/pricing/")
ENDPOINTS = Price("VPC endpoints", 0.01, 1, "endpoint-hours", f"{_PRICING}/privatelink/pricing/")
GLUE_JOBS = Price("Glue jobs", 0.44, 1, "DPU-hours", f"{_PRICING}/glue/pricing/")
CATALOG_REQUESTS = Price("Glue catalog", 1.00, MILLION, "requests", f"{_PRICING}/glue/pricing/")
