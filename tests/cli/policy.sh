#!/bin/sh
# What run does about failures and choice: --only, --retry=CLASS, --max-fail, --fail-fast, --events.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ]; then
  skip "policies of run" "needs jq"
  finish
fi

query() { "$BIN" sql "$2" --results "$1" --csv | sed 1d; }
# --only
run run smoke --results only --only 'variant=ours seed=0 prompt=in-01' --json
ok "a part of a study runs" exits 0
ok "one score, its three clips, one training, the data" json_is '[.cells, .ran, .failed, .blocked]' '[6,6,0,0]'
ok "nothing else is done" test "$(query only "SELECT count(*) FROM cell WHERE state='done'")" = 6
run run smoke --results only --only 'variant=ours seed=0 prompt=in-01' --json
ok "again it is all hits" json_is '[.hits, .ran]' '[6,0]'
run run smoke --results only --only 'variant=nobody'
ok "a choice of nothing is a usage error" exits 2
run run smoke --results only --only 'state=failed'
ok "a plan has no states" err_has "no field 'state'"
run run smoke --results only --json
ok "the whole study adds the rest" json_is '[.hits, .ran]' '[6,21]'

# Failures that repeat: both trainings diverge.
bad="--set train.lr=10 --set train.decay=10 --set train.steps=60 --jobs 1"
# shellcheck disable=SC2086  # options
run run smoke --results one $bad --max-fail 1 --json
ok "--max-fail stops" json_is .failed 1
ok "with the status of failed cells" exits 3
# shellcheck disable=SC2086
run run smoke --results two $bad --fail-fast --json
ok "--fail-fast is the first failure" json_is .failed 1
# shellcheck disable=SC2086
run run smoke --results three $bad --max-fail 5% --json
ok "a percentage counts the study's cells" json_is .failed 2
for wrong in "--max-fail x" "--max-fail 1.5" "--max-fail 101%" "--max-fail -1" "--budget 3" "--budget 0s" "--budget 1y" \
  "--budget h" "--retry=bad_luck" "--retry=io,"; do
  # shellcheck disable=SC2086
  run run smoke --results wrong $wrong
  ok "$wrong is a usage error" exits 2
done
ok "and nothing was made" test ! -e wrong
# shellcheck disable=SC2086
run run smoke --results three $bad --retry=io,timeout,lost --json
ok "--retry of other classes tries nothing" json_is .failed 2
ok "no attempt was made" test "$(query three "SELECT count(*) FROM attempt WHERE fail_class='nan_loss'")" = 2
# shellcheck disable=SC2086
run run smoke --results three $bad --retry=nan_loss --json
ok "of its own class, both again" test "$(query three "SELECT count(*) FROM attempt WHERE fail_class='nan_loss'")" = 4

# A failed cell's log ends with what to do, and that does it.
log=three/$(query three "SELECT log_path FROM attempt WHERE n = 2 LIMIT 1")
ok "the log has the class" grep -qx 'class: nan_loss' "$log"
ok "and the exit status" grep -qx 'exit status: 1' "$log"
tail -n 1 "$log" | sed 's/^to run it again: //' >again.sh
ok "its last line is a command for this cell" grep -q -- '--set train.lr=10 .*--results three --retry --only [0-9a-f]\{12\}$' again.sh
code=0
sh again.sh >"$out" 2>"$err" || code=$?
ran="the command of the log"
ok "which runs it" exits 3
ok "alone" test "$(query three "SELECT count(*) FROM attempt WHERE fail_class='nan_loss'")" = 5

# A cell that succeeded at its second attempt is a hit.
run run smoke --results again --quiet
run reset stage=score --results again --yes
run run smoke --results again --quiet
ok "second attempts" test "$(query again "SELECT max(n) FROM attempt")" = 2
run run smoke --results again --json
ok "are hits" json_is '[.hits, .ran]' '[27,0]'

# Events.
run run smoke --results ev --events events.jsonl --json
ok "--events beside --json" json_is '[.ran, .failed]' '[27,0]'
ok "every line is JSON" jq -es . events.jsonl
ok "the first is the schema" test "$(head -n 1 events.jsonl)" = '{"schema":"tandem.run.events","version":1}'
ok "begin and end" test "$(jq -rs '[.[1].event, .[-1].event] | join(" ")' events.jsonl)" = "begin end"
ok "all cells finish" test "$(jq -s '[.[] | select(.event == "finished") | .cells] | add' events.jsonl)" = 27
ok "with time and stage" test "$(jq -s '[.[] | select(.event == "finished") | (.ts | test("^20.*Z$")) and (.stage | length > 0)] |
  all' events.jsonl)" = true
ok "the end counts the plan" test "$(jq -s '.[-1].plan | [.train.done, .score.total, .failed]' -c events.jsonl)" = '[2,12,0]'
run run smoke --results ev --events - --quiet
ok "on standard output" test "$(jq -s '[.[1].event, .[1].plan.sample.done]' -c "$out")" = '["begin",12]'
run run smoke --results ev --events - --json
ok "both on standard output is a usage error" exits 2
run run smoke --results ev --events no/such/folder/x
ok "a file that cannot be made is an error" exits 1

finish
