#!/bin/sh
# Runs out of time, runs and workers that are killed: what is kept, and what the next run does.
# shellcheck source=tests/cli/_lib.sh
# shellcheck disable=SC2317  # helpers are called through ok
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ]; then
  skip "policies of run" "needs jq"
  finish
fi

start() { env -i PATH="$PATH" HOME="$work" LC_ALL=C CI=true "$BIN" "$@" >bg.out 2>bg.err </dev/null & }
query() { "$BIN" sql "$2" --results "$1" --csv | sed 1d; }
# Waits until a training of the store runs and has written a checkpoint.
await_training() {
  i=0
  while [ "$i" -lt 200 ]; do
    [ "$(query "$1" "SELECT count(*) FROM cell WHERE state='running' AND stage='train'" 2>/dev/null)" = 1 ] &&
      [ -n "$(ls "$1/checkpoints" 2>/dev/null)" ] && return 0
    sleep 0.1
    i=$((i + 1))
  done
  return 1
}

# Time.
long="--set train.steps=100000 --set train.lr=1e-6 --set train.checkpoint_every=1 --jobs 1"
# shellcheck disable=SC2086
run run smoke --results budget $long --budget 2s --json
ok "a spent budget is exit 75" exits 75
ok "and says so" json_is '[.out_of_time, .signal, .failed]' '[true,0,0]'
ok "what ran was saved, not failed" test "$(query budget "SELECT state FROM attempt ORDER BY attempt_id DESC LIMIT 1")" = cancelled
ok "with its checkpoint" test -n "$(ls budget/checkpoints)"
# shellcheck disable=SC2086
run run smoke --results limit $long --set resources.train.minutes=0.02 --only 'stage=train variant=ours' --json
ok "a cell beyond its minutes fails" exits 3
ok "by timeout, at its second try" test "$(query limit "SELECT group_concat(attempt.state || ' ' || fail_class) FROM attempt
  JOIN cell USING(key) WHERE stage = 'train'")" = '"failed timeout,failed timeout"'
ok "which went on from the first" test "$(query limit "SELECT max(resumed_from_step) IS NOT NULL OR count(*) = 2 FROM attempt
  JOIN cell USING(key) WHERE stage = 'train'")" = 1
run why --results limit class=timeout --json
ok "and says which limit" json_is '.[0].text | test("resources.train.minutes")' true

# A worker that is killed is tried once more, then its cell has failed, and its log says of what.
# shellcheck disable=SC2086
start run smoke --results killed $long --only 'stage=train variant=ours'
pid=$!
ok "a training runs" await_training killed
pkill -9 -P "$pid"
i=0
while [ "$i" -lt 100 ] && [ "$(query killed "SELECT count(*) FROM attempt JOIN cell USING(key) WHERE stage='train'")" != 2 ]; do
  sleep 0.1
  i=$((i + 1))
done
ok "it is tried again" test "$(query killed "SELECT group_concat(a.state) FROM attempt a JOIN cell USING(key) WHERE stage='train'")" = \
  '"failed,running"'
pkill -9 -P "$pid"
code=0
wait "$pid" || code=$?
ran="run whose worker is killed twice"
ok "then the cell has failed" exits 3
run log "$(query killed "SELECT key FROM cell WHERE stage='train' AND state='failed'")" --results killed
ok "its log has the signal" out_has '^signal: 9 \(Killed\)$'
ok "and the command" out_has '^to run it again: .* --only [0-9a-f]{12}$'

# A run that is killed with its workers: lost at once, and the next run goes on.
# shellcheck disable=SC2086
start run smoke --results gone $long --only 'stage=train variant=ours'
pid=$!
ok "a training runs" await_training gone
kill -9 "$pid"
wait "$pid" 2>/dev/null
run status smoke --results gone --json
ok "status shows the lost cell" json_is '.[0].lost' 1
run status smoke --results gone
ok "also as text" out_has ', 1 lost'
# shellcheck disable=SC2086
run run smoke --results gone $long --only 'stage=train variant=ours' --budget 2s
ok "the next run takes it" exits 75
ok "and it cost no try" test "$(query gone "SELECT tries FROM cell WHERE stage='train' AND state='ready'" | sort -u)" = 0

finish
