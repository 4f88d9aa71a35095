#!/usr/bin/env bash
# Reprocesses what arrived on one day. Usage: replay-a-day.sh PREFIX DAY [ID], such as bronze/shipments/ 2026-03-01
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2s/^# //p' "$0" >&2
  exit 2
fi
prefix=$1 day=$2 id=${3:-day-$2}
next=$(python3 -c 'import datetime as d, sys; print(d.date.fromisoformat(sys.argv[1]) + d.timedelta(days=1))' "$day")
request=(--prefix "$prefix" --since "${day}T00:00:00Z" --until "${next}T00:00:00Z")

echo "== what it would do"
sluice replay "${request[@]}" --dry-run
echo "== the replay"
sluice replay "${request[@]}" --id "$id" # waits for the end; 1 when a row does not add up
echo "== source = ledger = silver + quarantine"
sluice verify --prefix "$prefix"
