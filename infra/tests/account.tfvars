# What only a user of prod.tfvars can know, for plans in tests.
region              = "us-east-1"
allowed_account_ids = ["123456789012"]
bucket_suffix       = "123456789012"
notification_email  = "data-team@example.com"
