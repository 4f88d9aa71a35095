#!/usr/bin/env bash
# Runs Terraform for this example. Usage: deploy.sh apply | destroy | output ..., after eval "$(sluice env)".
# In an account, set TERRAFORM=terraform and pass the target on to sluice: TARGET=aws.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
# `sluice env` points these at the stack's own folder; this is another root module, with its own data and state.
unset TF_DATA_DIR TF_CLI_ARGS_init
terraform=${TERRAFORM:-tflocal}

if [ "${1:-}" = output ]; then
  exec "$terraform" "$@"
fi
mkdir -p build
rm -f build/consumer.zip
python3 -m zipfile -c build/consumer.zip consumer
sluice outputs --json | python3 -c 'import json, sys; json.dump({"stack": json.load(sys.stdin)}, open("stack.auto.tfvars.json", "w"))'
"$terraform" init -input=false -no-color >build/init.log || { cat build/init.log >&2; exit 1; }
"$terraform" "${1:?apply, destroy or output}" -auto-approve -input=false -no-color "${@:2}"
