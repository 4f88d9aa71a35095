"""A shell that is prepared for other projects: LocalStack, Terraform, PostgreSQL, AWS, Python and proxies."""

from __future__ import annotations

TERRAFORM = {
    "TF_CLI_ARGS": "-lock=maybe",
    "TF_CLI_ARGS_plan": "-destroy",
    "TF_CLI_ARGS_init": "-backend=false",
    "TF_CLI_ARGS_apply": "-nonsense",
    "TF_WORKSPACE": "other",
    "TF_DATA_DIR": "/nowhere",
    "TF_ENCRYPTION": "nonsense",
    "TF_REATTACH_PROVIDERS": "nonsense",
    "TF_VAR_artifacts_dir": "/nowhere",
    "TF_VAR_unknown": "1",
}
POSTGRES = {
    "PGHOST": "192.0.2.1",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1",
    "PGUSER": "other",
    "PGDATABASE": "other",
    "PGSSLMODE": "verify-full",
    "PGSERVICE": "other",
    "PGOPTIONS": "-c nonsense=1",
    "PGDATA": "/nowhere",
    "PGREQUIREAUTH": "none",
    "PGTZ": "Mars",
    "PGTARGETSESSIONATTRS": "standby",
}
LOCALSTACK = {
    "SERVICES": "sqs",
    "PROVIDER_OVERRIDE_S3": "v2",
    "PROVIDER_OVERRIDE_LAMBDA": "asf",
    "DEBUG": "1",
    "GATEWAY_LISTEN": "0.0.0.0:4566",
    "EAGER_SERVICE_LOADING": "1",
    "STRICT_SERVICE_LOADING": "1",
    "LOCALSTACK_HOST": "elsewhere:1",
    "EXTRA_CORS_ALLOWED_ORIGINS": "x",
    "LAMBDA_RUNTIME_EXECUTOR": "docker",
    "LAMBDA_KEEPALIVE_MS": "0",
    "SQS_ENDPOINT_STRATEGY": "path",
    "USE_SSL": "1",
    "DNS_ADDRESS": "192.0.2.1",
    "ACTIVATE_PRO": "1",
}
AWS = {
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "ap-south-1",
    "AWS_PROFILE": "not-there",
    "AWS_DEFAULT_PROFILE": "neither",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:1",
    "AWS_CA_BUNDLE": "/nowhere.pem",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_MAX_ATTEMPTS": "none",
    "AWS_CONFIG_FILE": "/nowhere",
}
PYTHON = {
    "LC_ALL": "C",
    "PYTHONIOENCODING": "ascii",
    "PYTHONPATH": "/nowhere",
    "PYTHONHOME": "/nowhere",
    "VIRTUAL_ENV": "/nowhere",
}
PROXIES = {"HTTP_PROXY": "http://127.0.0.1:1", "HTTPS_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
HOSTILE = {**TERRAFORM, **POSTGRES, **LOCALSTACK, **AWS, **PYTHON, **PROXIES, "PERSISTENCE": "1"}
