"""digest: gathers the notices of some minutes into one mail.

The topic of notices stays what programs subscribe to; a mail address subscribes to the topic of mails, which this
function publishes to. A batch is one mail. A failed one comes again whole: a mail may be sent twice, and none is lost.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import os
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from core.digest.mail import compose
from sluice_pipeline.runtime.clients import client
from sluice_pipeline.runtime.telemetry import traced

logger = Logger()
sns = client("sns")


@traced
@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: LambdaContext) -> PartialItemFailureResponse:
    """Publishes one mail about the batch; no message fails by itself.

    Raises:
        botocore.exceptions.ClientError: SNS did not accept the mail; all messages of the batch come again.
    """
    records = event["Records"]
    mail = compose(os.environ["STACK_NAME"], [record["body"] for record in records])
    sns.publish(TopicArn=os.environ["MAIL_TOPIC_ARN"], Subject=mail.subject, Message=mail.text)
    logger.info("mailed", extra={"notices": len(records), "subject": mail.subject})
    return {"batchItemFailures": []}
