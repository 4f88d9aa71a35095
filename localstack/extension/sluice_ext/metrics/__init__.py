"""CloudWatch as it is on AWS: embedded metrics, what Lambda, SQS and Step Functions publish, metric math, alarms."""
