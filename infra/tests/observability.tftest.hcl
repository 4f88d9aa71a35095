mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name             = "sluice-test"
  region           = "eu-west-1"
  namespace        = "sluice-test"
  topic_arn        = "arn:aws:sns:eu-west-1:210987654321:sluice-test-notifications"
  event_dlq_arn    = "arn:aws:sqs:us-east-1:123456789012:sluice-test-events-dlq"
  functions        = { ingest = "sluice-test-ingest", watch = "sluice-test-watch" }
  workflows        = { replay = "arn:aws:states:eu-west-1:210987654321:stateMachine:sluice-test-replay" }
  watch            = { name = "sluice-test-watch", arn = "arn:aws:lambda:eu-west-1:210987654321:function:sluice-test-watch" }
  chunk_queue_name = "sluice-test-chunks"
  queue_names      = { chunk = "sluice-test-chunks", load = "sluice-test-loads" }
  tables           = { ledger = "sluice-test-ledger" }
  databases        = { warehouse = { cluster_id = "sluice-test-warehouse", max_connections = 189 } }
  apis             = { api = { name = "sluice-test-api", stage = "v1" } }
  dead_letter_queue_names = {
    chunk  = "sluice-test-chunks-dlq"
    ingest = "sluice-test-ingest-dlq"
  }
}

run "every_alarm_is_named_and_notifies_the_topic_when_it_fires_and_when_it_is_over" {
  module {
    source = "./modules/alarms"
  }

  assert {
    condition = output.alarm_names == sort([
      for thing in [
        "ingest-errors", "ingest-throttles", "watch-errors", "watch-throttles", "chunk-queue-age", "load-queue-age",
        "chunk-dead-letters", "ingest-dead-letters", "quarantine-ratio", "objects-unfinished", "replay-failures",
        "ledger-table-throttles", "warehouse-capacity", "warehouse-connections", "api-5xx", "api-latency",
      ] : "sluice-test-${thing}"
    ])
    error_message = "alarms must be named <project>-<env>-<what>"
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.metric), values(aws_cloudwatch_metric_alarm.workflow), [aws_cloudwatch_metric_alarm.quarantine]) :
      alarm.alarm_actions == toset([var.topic_arn]) && alarm.ok_actions == toset([var.topic_arn])
    ])
    error_message = "an alarm must notify the topic when it fires and when it is over"
  }

  assert {
    condition = alltrue([
      for alarm in concat(values(aws_cloudwatch_metric_alarm.metric), values(aws_cloudwatch_metric_alarm.workflow), [aws_cloudwatch_metric_alarm.quarantine]) :
      length(alarm.alarm_description) > 40 && alarm.comparison_operator == "GreaterThanOrEqualToThreshold"
    ])
    error_message = "an alarm must say what it means, and fire at its threshold"
  }

  assert {
    condition = { for key, alarm in aws_cloudwatch_metric_alarm.metric : key => [alarm.namespace, alarm.metric_name, coalesce(alarm.statistic, alarm.extended_statistic), tostring(alarm.threshold), tostring(alarm.period)] if length(alarm.metric_query) == 0 } == {
      ingest-throttles      = ["AWS/Lambda", "Throttles", "Sum", "1", "60"]
      watch-throttles       = ["AWS/Lambda", "Throttles", "Sum", "1", "60"]
      chunk-queue-age       = ["AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", "900", "60"]
      load-queue-age        = ["AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", "1800", "60"]
      chunk-dead-letters    = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", "1", "60"]
      ingest-dead-letters   = ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", "1", "60"]
      objects-unfinished    = ["sluice-test", "OldestUnfinishedSeconds", "Maximum", "1800", "60"]
      warehouse-capacity    = ["AWS/RDS", "ACUUtilization", "Average", "90", "300"]
      warehouse-connections = ["AWS/RDS", "DatabaseConnections", "Maximum", "151", "300"]
      api-5xx               = ["AWS/ApiGateway", "5XXError", "Sum", "1", "60"]
      api-latency           = ["AWS/ApiGateway", "Latency", "p95", "10000", "300"]
    }
    error_message = "metrics, statistics, thresholds and periods must have their defaults"
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.metric["chunk-dead-letters"].dimensions == tomap({ QueueName = "sluice-test-chunks-dlq" })
    error_message = "the dead-letter alarm must look at its own queue"
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.metric["objects-unfinished"].insufficient_data_actions == toset([var.topic_arn])
      && aws_cloudwatch_metric_alarm.metric["objects-unfinished"].treat_missing_data == "missing"
    )
    error_message = "a watch that reports nothing must raise its alarm"
  }
}

run "errors_that_a_function_handles_count_as_its_errors_and_tables_have_both_throttles" {
  module {
    source = "./modules/alarms"
  }

  assert {
    condition = {
      for key in ["ingest-errors", "ledger-table-throttles"] : key => {
        for query in aws_cloudwatch_metric_alarm.metric[key].metric_query : query.id => coalesce(
          query.expression,
          try("${query.metric[0].namespace} ${query.metric[0].metric_name} ${join(",", values(query.metric[0].dimensions))} ${query.metric[0].stat} ${query.metric[0].period}", null),
        )
      }
      } == {
      ingest-errors = {
        sum     = "FILL(handled, 0) + FILL(raised, 0)"
        raised  = "AWS/Lambda Errors sluice-test-ingest Sum 60"
        handled = "sluice-test HandledErrors ingest Sum 60"
      }
      ledger-table-throttles = {
        sum    = "FILL(reads, 0) + FILL(writes, 0)"
        reads  = "AWS/DynamoDB ReadThrottleEvents sluice-test-ledger Sum 60"
        writes = "AWS/DynamoDB WriteThrottleEvents sluice-test-ledger Sum 60"
      }
    }
    error_message = "the sum must have each of its metrics once, and nothing else"
  }
}

run "ratio_and_failures_are_worked_out_of_several_metrics" {
  module {
    source = "./modules/alarms"
  }

  assert {
    condition = [
      for query in aws_cloudwatch_metric_alarm.quarantine.metric_query : query.expression if query.return_data == true
    ] == ["IF(rows >= 100, 100 * quarantined / rows, 0)"]
    error_message = "the ratio must be a percentage of the rows, and wait for enough of them"
  }

  assert {
    condition = toset(flatten([
      for query in aws_cloudwatch_metric_alarm.workflow["replay"].metric_query : [for metric in query.metric : metric.metric_name]
    ])) == toset(["ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"])
    error_message = "every end but success must count"
  }
}

run "thresholds_and_periods_follow_their_variable" {
  variables {
    alarms = { oldest_chunk_seconds = 60, queue_period_seconds = 120, evaluation_periods = 3, quarantine_percent = 1, quarantine_min_rows = 10 }
  }

  module {
    source = "./modules/alarms"
  }

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.metric["chunk-queue-age"].threshold == 60
      && aws_cloudwatch_metric_alarm.metric["chunk-queue-age"].period == 120
      && aws_cloudwatch_metric_alarm.metric["chunk-queue-age"].evaluation_periods == 3
      && aws_cloudwatch_metric_alarm.quarantine.threshold == 1
    )
    error_message = "thresholds, periods and evaluation periods must follow the variable"
  }
}

run "only_this_schedule_may_run_the_watch" {
  module {
    source = "./modules/alarms"
  }

  assert {
    condition     = aws_lambda_permission.watch.source_arn == aws_cloudwatch_event_rule.watch.arn && aws_lambda_permission.watch.principal == "events.amazonaws.com"
    error_message = "the permission must name the rule"
  }

  assert {
    condition     = aws_cloudwatch_event_target.watch.dead_letter_config[0].arn == var.event_dlq_arn
    error_message = "an event that does not reach the function must not be lost"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.watch.schedule_expression == "rate(1 minute)"
    error_message = "the watch runs every minute"
  }
}

run "the_dashboard_follows_the_data" {
  module {
    source = "./modules/alarms"
  }

  assert {
    condition = [for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.properties.title] == [
      "Objects", "Rows", "Rows in quarantine (%)", "Unfinished objects", "Chunk queue", "Dead-letter messages",
      "Function errors and throttles", "Function duration, p99 (ms)", "Seconds for a chunk, average", "Workflow replay",
    ]
    error_message = "the dashboard must show objects, rows, queues, functions and workflows"
  }

  assert {
    condition     = length(distinct([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : "${widget.x},${widget.y}"])) == 10
    error_message = "no widget may cover another"
  }
}

run "bad_settings_are_refused" {
  command = plan

  variables {
    watch_schedule = "every minute"
    alarms         = { queue_period_seconds = 30, evaluation_periods = 0, quarantine_percent = 0, database_capacity_percent = 101 }
  }

  module {
    source = "./modules/alarms"
  }

  expect_failures = [var.watch_schedule, var.alarms]
}
