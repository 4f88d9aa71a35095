# Where resources went when each branch became a module: deployed stacks keep what they have. tests/infra plans the state of
# an older deployment against this code.

# feedback

moved {
  from = module.feedback_table[0]
  to   = module.feedback[0].module.table
}

moved {
  from = module.feedback_queue[0]
  to   = module.feedback[0].module.queue
}

moved {
  from = module.feedback_function[0]
  to   = module.feedback[0].module.function
}

moved {
  from = module.feedback_trigger[0]
  to   = module.feedback[0].module.trigger
}

# warehouse

moved {
  from = module.database[0]
  to   = module.warehouse[0].module.database
}

moved {
  from = module.migrate[0]
  to   = module.warehouse[0].module.migrate
}

moved {
  from = module.load_queue[0]
  to   = module.warehouse[0].module.load_queue
}

moved {
  from = module.load[0]
  to   = module.warehouse[0].module.load
}

moved {
  from = module.load_trigger[0]
  to   = module.warehouse[0].module.load_trigger
}

moved {
  from = module.layer["postgres"]
  to   = module.warehouse[0].module.layer
}

moved {
  from = aws_lambda_invocation.migrate[0]
  to   = module.warehouse[0].aws_lambda_invocation.migrate
}

# api

moved {
  from = module.database[0].aws_vpc_endpoint.interface["states"]
  to   = module.api[0].aws_vpc_endpoint.states
}

moved {
  from = module.layer["api"]
  to   = module.api[0].module.layer
}

moved {
  from = module.analytics_table[0]
  to   = module.api[0].module.table
}

moved {
  from = module.api_function[0]
  to   = module.api[0].module.function
}

moved {
  from = module.analytics_worker[0]
  to   = module.api[0].module.worker
}

moved {
  from = module.api[0].aws_api_gateway_rest_api.this
  to   = module.api[0].module.rest_api.aws_api_gateway_rest_api.this
}

moved {
  from = module.api[0].aws_api_gateway_resource.open
  to   = module.api[0].module.rest_api.aws_api_gateway_resource.open
}

moved {
  from = module.api[0].aws_api_gateway_resource.everything
  to   = module.api[0].module.rest_api.aws_api_gateway_resource.everything
}

moved {
  from = module.api[0].aws_api_gateway_method.this
  to   = module.api[0].module.rest_api.aws_api_gateway_method.this
}

moved {
  from = module.api[0].aws_api_gateway_integration.this
  to   = module.api[0].module.rest_api.aws_api_gateway_integration.this
}

moved {
  from = module.api[0].aws_api_gateway_gateway_response.this
  to   = module.api[0].module.rest_api.aws_api_gateway_gateway_response.this
}

moved {
  from = module.api[0].aws_api_gateway_deployment.this
  to   = module.api[0].module.rest_api.aws_api_gateway_deployment.this
}

moved {
  from = module.api[0].aws_api_gateway_stage.this
  to   = module.api[0].module.rest_api.aws_api_gateway_stage.this
}

moved {
  from = module.api[0].aws_api_gateway_method_settings.this
  to   = module.api[0].module.rest_api.aws_api_gateway_method_settings.this
}

moved {
  from = module.api[0].aws_api_gateway_usage_plan.this
  to   = module.api[0].module.rest_api.aws_api_gateway_usage_plan.this
}

moved {
  from = module.api[0].aws_api_gateway_api_key.this
  to   = module.api[0].module.rest_api.aws_api_gateway_api_key.this
}

moved {
  from = module.api[0].aws_api_gateway_usage_plan_key.this
  to   = module.api[0].module.rest_api.aws_api_gateway_usage_plan_key.this
}

moved {
  from = module.api[0].aws_lambda_permission.this
  to   = module.api[0].module.rest_api.aws_lambda_permission.this
}

moved {
  from = module.analytics_jobs[0].aws_cloudwatch_log_group.this
  to   = module.api[0].module.jobs.aws_cloudwatch_log_group.this
}

moved {
  from = module.analytics_jobs[0].aws_sfn_state_machine.this
  to   = module.api[0].module.jobs.aws_sfn_state_machine.this
}

moved {
  from = module.analytics_jobs[0].aws_iam_role.this
  to   = module.api[0].module.jobs.aws_iam_role.this
}

moved {
  from = module.analytics_jobs[0].aws_iam_role_policy.this
  to   = module.api[0].module.jobs.aws_iam_role_policy.this
}

moved {
  from = module.analytics_jobs[0].aws_iam_role.schedule
  to   = module.api[0].module.jobs.aws_iam_role.schedule
}

moved {
  from = module.analytics_jobs[0].aws_iam_role_policy.schedule
  to   = module.api[0].module.jobs.aws_iam_role_policy.schedule
}

moved {
  from = module.analytics_jobs[0].aws_cloudwatch_event_rule.schedule
  to   = module.api[0].module.jobs.aws_cloudwatch_event_rule.schedule
}

moved {
  from = module.analytics_jobs[0].aws_cloudwatch_event_target.schedule
  to   = module.api[0].module.jobs.aws_cloudwatch_event_target.schedule
}

moved {
  from = module.analytics_jobs[0].aws_cloudwatch_event_rule.cut_short
  to   = module.api[0].module.jobs.aws_cloudwatch_event_rule.aborted
}

moved {
  from = module.analytics_jobs[0].aws_cloudwatch_event_target.tell
  to   = module.api[0].module.jobs.aws_cloudwatch_event_target.aborted
}

moved {
  from = module.analytics_jobs[0].aws_cloudwatch_event_target.record
  to   = module.api[0].module.jobs.aws_cloudwatch_event_target.aborted_function[0]
}

moved {
  from = module.analytics_jobs[0].aws_lambda_permission.record
  to   = module.api[0].module.jobs.aws_lambda_permission.aborted_function[0]
}

# checkins

moved {
  from = module.checkins_table[0]
  to   = module.checkins[0].module.table
}

moved {
  from = module.checkin_log[0]
  to   = module.checkins[0].module.log
}

moved {
  from = module.checkins_function[0]
  to   = module.checkins[0].module.function
}

moved {
  from = module.checkin_executor[0]
  to   = module.checkins[0].module.executor
}

moved {
  from = module.checkins[0].aws_cloudwatch_log_group.this
  to   = module.checkins[0].module.workflow.aws_cloudwatch_log_group.this
}

moved {
  from = module.checkins[0].aws_sfn_state_machine.this
  to   = module.checkins[0].module.workflow.aws_sfn_state_machine.this
}

moved {
  from = module.checkins[0].aws_iam_role.this
  to   = module.checkins[0].module.workflow.aws_iam_role.this
}

moved {
  from = module.checkins[0].aws_iam_role_policy.this
  to   = module.checkins[0].module.workflow.aws_iam_role_policy.this
}

moved {
  from = module.checkins[0].aws_iam_role.schedule
  to   = module.checkins[0].module.workflow.aws_iam_role.schedule
}

moved {
  from = module.checkins[0].aws_iam_role_policy.schedule
  to   = module.checkins[0].module.workflow.aws_iam_role_policy.schedule
}

moved {
  from = module.checkins[0].aws_cloudwatch_event_rule.cut_short
  to   = module.checkins[0].module.workflow.aws_cloudwatch_event_rule.aborted
}

moved {
  from = module.checkins[0].aws_cloudwatch_event_target.cut_short
  to   = module.checkins[0].module.workflow.aws_cloudwatch_event_target.aborted
}

moved {
  from = aws_cloudwatch_event_target.checkin_cut_short[0]
  to   = module.checkins[0].module.workflow.aws_cloudwatch_event_target.aborted_function[0]
}

moved {
  from = aws_lambda_permission.checkin_cut_short[0]
  to   = module.checkins[0].module.workflow.aws_lambda_permission.aborted_function[0]
}

moved {
  from = aws_cloudwatch_event_rule.checkin_executor[0]
  to   = module.checkins[0].aws_cloudwatch_event_rule.executor[0]
}

moved {
  from = aws_cloudwatch_event_target.checkin_executor[0]
  to   = module.checkins[0].aws_cloudwatch_event_target.executor[0]
}

moved {
  from = aws_lambda_permission.checkin_executor[0]
  to   = module.checkins[0].aws_lambda_permission.executor[0]
}

# replay

moved {
  from = module.replay_function[0]
  to   = module.replay[0].module.function
}

moved {
  from = module.replay[0].aws_cloudwatch_log_group.this
  to   = module.replay[0].module.workflow.aws_cloudwatch_log_group.this
}

moved {
  from = module.replay[0].aws_sfn_state_machine.this
  to   = module.replay[0].module.workflow.aws_sfn_state_machine.this
}

moved {
  from = module.replay[0].aws_iam_role.this
  to   = module.replay[0].module.workflow.aws_iam_role.this
}

moved {
  from = module.replay[0].aws_iam_role_policy.this
  to   = module.replay[0].module.workflow.aws_iam_role_policy.this
}

moved {
  from = module.replay[0].aws_iam_role.schedule
  to   = module.replay[0].module.workflow.aws_iam_role.schedule
}

moved {
  from = module.replay[0].aws_iam_role_policy.schedule
  to   = module.replay[0].module.workflow.aws_iam_role_policy.schedule
}

moved {
  from = module.replay[0].aws_cloudwatch_event_rule.cut_short
  to   = module.replay[0].module.workflow.aws_cloudwatch_event_rule.aborted
}

moved {
  from = module.replay[0].aws_cloudwatch_event_target.cut_short
  to   = module.replay[0].module.workflow.aws_cloudwatch_event_target.aborted
}

moved {
  from = module.replay[0].aws_cloudwatch_event_rule.schedule[0]
  to   = module.replay[0].module.workflow.aws_cloudwatch_event_rule.schedule["schedule"]
}

moved {
  from = module.replay[0].aws_cloudwatch_event_target.schedule[0]
  to   = module.replay[0].module.workflow.aws_cloudwatch_event_target.schedule["schedule"]
}

# observability

moved {
  from = module.watch[0]
  to   = module.observability[0].module.watch
}

moved {
  from = module.observability[0].aws_cloudwatch_dashboard.this
  to   = module.observability[0].module.alarms.aws_cloudwatch_dashboard.this
}

moved {
  from = module.observability[0].aws_cloudwatch_metric_alarm.metric
  to   = module.observability[0].module.alarms.aws_cloudwatch_metric_alarm.metric
}

moved {
  from = module.observability[0].aws_cloudwatch_metric_alarm.quarantine
  to   = module.observability[0].module.alarms.aws_cloudwatch_metric_alarm.quarantine
}

moved {
  from = module.observability[0].aws_cloudwatch_metric_alarm.workflow
  to   = module.observability[0].module.alarms.aws_cloudwatch_metric_alarm.workflow
}

moved {
  from = module.observability[0].aws_cloudwatch_event_rule.watch
  to   = module.observability[0].module.alarms.aws_cloudwatch_event_rule.watch
}

moved {
  from = module.observability[0].aws_cloudwatch_event_target.watch
  to   = module.observability[0].module.alarms.aws_cloudwatch_event_target.watch
}

moved {
  from = module.observability[0].aws_lambda_permission.watch
  to   = module.observability[0].module.alarms.aws_lambda_permission.watch
}
