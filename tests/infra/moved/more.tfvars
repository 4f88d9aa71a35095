# What the deployment behind state.json.gz had beside infra/envs/dev.tfvars: everything that is off unless it is set.

replay_schedule = { expression = "rate(1 day)", request = { prefix = "bronze/flights/", since = "1d" } }
api_schedules = {
  daily   = { expression = "cron(0 5 * * ? *)", operation = "revenue_analysis", parameters = { group_by = "date", since = "7d" } }
  monthly = { expression = "cron(0 6 1 * ? *)", operation = "revenue_analysis", parameters = { group_by = "month", since = "400d" } }
}
checkin_schedule   = { expression = "cron(30 3 * * ? *)", days_back = 1 }
notification_email = "someone@example.com"
event_archive_days = 30
