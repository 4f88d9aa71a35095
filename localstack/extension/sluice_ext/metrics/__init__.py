"""CloudWatch metrics: their store, embedded metrics in logs, metric math, alarms."""
