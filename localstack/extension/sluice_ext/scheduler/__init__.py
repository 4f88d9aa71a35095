"""EventBridge Scheduler: schedules that fire.

| module | what it does |
|---|---|
| constraints | what the API's model demands of a request (pure) |
| requests | what AWS demands of a schedule beyond that |
| universal | targets `arn:aws:scheduler:::aws-sdk:service:action` (pure) |
| targets | one call of a target, with the schedule's role |
| store | schedules, groups, what waits to be tried again |
| firing | when a schedule is due: attempts, retries, dead-letter messages, metrics |
| provider | the API |
"""
