# Every alarm notifies the topic when it fires and when it is over; those about the function that mails notices also notify
# the topic of mails, for no mail of that function would report them. What an alarm means and what to do about it is in
# docs/operations.md; its description names the first command.

locals {
  functions_alarms = merge([
    for key, name in var.functions : {
      "${key}-errors" = {
        parts = {
          raised  = { namespace = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = name } }
          handled = { namespace = var.namespace, metric = "HandledErrors", dimensions = { service = key } }
        }
        label       = "Errors, raised and handled"
        statistic   = "Sum"
        period      = var.alarms.function_period_seconds
        threshold   = var.alarms.function_errors
        description = "${name} raised, crashed or ran out of time, failed a message of a batch or answered 5xx. Look: sluice logs ${key}. Lambda retries events, SQS redelivers messages; what exhausts its retries goes to a dead-letter queue."
      }
      "${key}-throttles" = {
        namespace   = "AWS/Lambda"
        metric      = "Throttles"
        dimensions  = { FunctionName = name }
        statistic   = "Sum"
        period      = var.alarms.function_period_seconds
        threshold   = var.alarms.throttles
        description = "${name} had no concurrency left. Nothing is lost, work waits. Raise its reserved concurrency or the account's limit."
      }
    }
  ]...)

  dead_letter_alarms = {
    for key, name in var.dead_letter_queue_names : "${key}-dead-letters" => {
      namespace   = "AWS/SQS"
      metric      = "ApproximateNumberOfMessagesVisible"
      dimensions  = { QueueName = name }
      statistic   = "Maximum"
      period      = var.alarms.queue_period_seconds
      threshold   = var.alarms.dead_letters
      description = "Dead-letter messages wait in ${name}. Look: sluice dlq ls. Fix the cause, then: sluice dlq redrive."
    }
  }

  # Queues that a function empties: a message waits while its function fails, is throttled, or is too slow.
  queue_alarms = {
    for key, name in var.queue_names : "${key}-queue-age" => {
      namespace   = "AWS/SQS"
      metric      = "ApproximateAgeOfOldestMessage"
      dimensions  = { QueueName = name }
      statistic   = "Maximum"
      period      = var.alarms.queue_period_seconds
      threshold   = name == var.chunk_queue_name ? var.alarms.oldest_chunk_seconds : var.alarms.oldest_message_seconds
      description = "A message has waited too long in ${name}: its function fails, is throttled, or is too slow. Look: sluice status, then sluice logs of the function."
    }
  }

  actions = {
    for key in keys(local.metric_alarms) : key => concat(
      [var.topic_arn], var.mail_topic_arn != null && startswith(key, "digest-") ? [var.mail_topic_arn] : [],
    )
  }

  metric_alarms = merge(local.functions_alarms, local.dead_letter_alarms, local.queue_alarms, local.service_alarms, {
    "objects-unfinished" = {
      namespace   = var.namespace
      metric      = "OldestUnfinishedSeconds"
      dimensions  = { service = "watch" }
      statistic   = "Maximum"
      period      = var.alarms.unfinished_period_seconds
      threshold   = var.alarms.unfinished_seconds
      description = "An object is planned and has made no progress for too long. Look: sluice runs --state planned. Repair: sluice dlq ls, else sluice replay."
    }
  })
}

resource "aws_cloudwatch_metric_alarm" "metric" {
  for_each = local.metric_alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = try(each.value.namespace, null)
  metric_name         = try(each.value.metric, null)
  dimensions          = try(each.value.dimensions, null)
  statistic           = try(each.value.parts, null) == null ? try(each.value.statistic, null) : null
  extended_statistic  = try(each.value.percentile, null)
  period              = try(each.value.parts, null) == null ? each.value.period : null
  evaluation_periods  = var.alarms.evaluation_periods
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  alarm_actions       = local.actions[each.key]
  ok_actions          = local.actions[each.key]

  # A service without data has nothing to report. The watch reports every minute: missing data means that it does not run.
  treat_missing_data        = each.key == "objects-unfinished" ? "missing" : "notBreaching"
  insufficient_data_actions = each.key == "objects-unfinished" ? [var.topic_arn] : []

  # An alarm of several metrics looks at their sum; one that has no data counts as none.
  dynamic "metric_query" {
    for_each = try(each.value.parts, null) == null ? {} : { sum = each.value }

    content {
      id          = "sum"
      label       = metric_query.value.label
      expression  = join(" + ", [for id in keys(metric_query.value.parts) : "FILL(${id}, 0)"])
      return_data = true
    }
  }

  dynamic "metric_query" {
    for_each = try(each.value.parts, {})

    content {
      id = metric_query.key

      metric {
        namespace   = metric_query.value.namespace
        metric_name = metric_query.value.metric
        dimensions  = metric_query.value.dimensions
        period      = each.value.period
        stat        = each.value.statistic
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "quarantine" {
  alarm_name          = "${var.name}-quarantine-ratio"
  alarm_description   = "Too many rows are rejected: a sender changed its format, or a rule is wrong. Look: sluice quarantine ls. Fix it, then: sluice quarantine retry."
  evaluation_periods  = var.alarms.evaluation_periods
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.alarms.quarantine_percent
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]

  metric_query {
    id          = "percent"
    label       = "Rows in quarantine (%)"
    expression  = "IF(rows >= ${var.alarms.quarantine_min_rows}, 100 * quarantined / rows, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { rows = "RowsIn", quarantined = "RowsQuarantined" }

    content {
      id = metric_query.key

      metric {
        namespace   = var.namespace
        metric_name = metric_query.value
        dimensions  = { service = "transform" }
        period      = var.alarms.quarantine_period_seconds
        stat        = "Sum"
      }
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "workflow" {
  for_each = var.workflows

  alarm_name          = "${var.name}-${each.key}-failures"
  alarm_description   = "An execution of ${var.name}-${each.key} failed, ran out of time or was stopped. Look at its history, fix the cause, and start it again under a new name."
  evaluation_periods  = var.alarms.evaluation_periods
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.alarms.workflow_failures
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]

  metric_query {
    id          = "all"
    label       = "Executions that did not succeed"
    expression  = "FILL(failed, 0) + FILL(timed_out, 0) + FILL(aborted, 0)"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { failed = "ExecutionsFailed", timed_out = "ExecutionsTimedOut", aborted = "ExecutionsAborted" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/States"
        metric_name = metric_query.value
        dimensions  = { StateMachineArn = each.value }
        period      = var.alarms.workflow_period_seconds
        stat        = "Sum"
      }
    }
  }
}
