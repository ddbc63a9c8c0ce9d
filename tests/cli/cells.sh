#!/bin/sh
# retry, cancel, reset, rm, gc, verify, log: what a user does to cells.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ]; then
  skip "changing cells" "needs jq"
  finish
fi

run run smoke --quiet
ok "a study runs" exits 0
run verify --json
ok "a sound store verifies" exits 0
ok "every object was hashed" json_is '[.ok, .objects > 10, .bytes > 1000]' '[true,true,true]'
run gc --age 0 --json
ok "gc finds nothing after a clean run" json_is '[.objects.files, .leftovers.files]' '[0,0]'

# Questions are not answered by nobody.
run reset stage=train
ok "reset asks, and without a terminal is a usage error" exits 2
ok "which says how to say yes" err_has '2 cells would be computed again.*--yes'
run reset stage=train --dry-run --json
ok "--dry-run lists" json_is '[.dry_run, .changed, (.cells | length), .cells[0].state]' '[true,0,2,"done"]'
run status smoke --json
ok "and changes nothing" json_is '.[0].stages.train.done' 2
run reset stage=train variant=ours --yes --json
ok "--yes resets" json_is '[.dry_run, .changed]' '[false,1]'
run plan smoke --json
ok "one training is to run, its samples and scores stay" json_is '[.stages.train.to_run, .to_run]' '[1,1]'
run run smoke --json
ok "the next run computes it" json_is '[.ran, .failed]' '[1,0]'
run verify
ok "with the same bytes" exits 0

# Damage.
run show "$("$BIN" sql "SELECT key FROM cell WHERE stage='sample' LIMIT 1" --csv | sed -n 2p)" --json
key=$(jq -r .key "$out")
object=$(jq -r '.artifacts[] | select(.role == "clip") | .sha256' "$out")
path=results/local/objects/$(echo "$object" | cut -c1-2)/$object
chmod u+w "$path"
printf 'x' >>"$path"
run verify --json
ok "a changed object is found" exits 5
ok "with its cell" json_is '[.ok, .problems[0].key]' "[false,\"$key\"]"
run verify stage=train
ok "a selector leaves it out" exits 0
run reset "$key" --yes
run run smoke --quiet
run verify
ok "reset and run mend it" exits 0
rm -f "$path"
run verify "$key"
ok "a missing object is found" exits 5

# rm, gc.
run rm stage=train --yes
ok "what others are made from is not removed" exits 2
ok "and says so" err_has 'choose them too'
run rm variant=batch stage=score,sample --yes --json
ok "chosen cells are removed" json_is '.changed' 8
run reset "$key" --yes
run gc --age 0 --dry-run --json
ok "their objects are garbage" json_is '[.objects.files > 0, .objects.bytes > 0]' '[true,true]'
run gc --age 0 --json
ok "gc removes it" json_is '.objects.files > 0' true
run gc --age 0 --json
ok "once" json_is '.objects.files' 0
run run smoke --json
ok "a run makes them again" json_is '[.ran > 7, .failed]' '[true,0]'
run verify
ok "and the store is whole" exits 0
: >results/local/checkpoints/0000000000000000000000000000000000000000000000000000000000000000.safetensors
run gc --json
ok "a young file stays" json_is '.leftovers.files' 0
run gc --age 0 --json
ok "a checkpoint of nothing goes" json_is '.leftovers.files' 1
ok "from the disk too" test "$(ls results/local/checkpoints)" = ""

# cancel and retry.
run cancel stage=train --results fresh --yes
ok "cancel needs a store" exits 5
run run smoke --results fresh --quiet
run reset stage=train variant=ours --results fresh --yes
run cancel variant=ours stage=train --results fresh --yes --json
ok "cancel skips" json_is '.changed' 1
run run smoke --results fresh --json
ok "a cancelled cell is not run" json_is '.ran' 0
run status smoke --results fresh --json
ok "and counted as skipped" json_is '.[0].stages.train.skipped' 1
run why --results fresh state=skipped
ok "why says how to take it back" err_empty
ok "by retry" out_has 'cancelled; .retry. takes it back'
run retry state=skipped --results fresh --json
ok "retry takes it back without asking" json_is '.changed' 1
run run smoke --results fresh --json
ok "and it runs" json_is '.ran' 1

# A running cell is stopped by its own run.
env -i PATH="$PATH" HOME="$work" LC_ALL=C CI=true "$BIN" run smoke --results long --set train.steps=100000 \
  --set train.lr=1e-6 --jobs 1 >/dev/null 2>bg.err </dev/null &
pid=$!
i=0
while [ $i -lt 100 ]; do
  run why state=running stage=train --results long --json
  [ "$code" = 0 ] && break
  sleep 0.1
  i=$((i + 1))
done
ok "a training runs" json_is '.[0].reason' running
key=$(jq -r '.[0].key' "$out")
run cancel stage=train --results long --yes --json
ok "both trainings are cancelled" json_is '.changed' 2
code=0
wait $pid || code=$?
ran="run, its trainings cancelled"
ok "the run ends with what is blocked" exits 3
run show "$key" --results long --json
ok "the attempt ended as cancelled" json_is '[.state, .attempts[-1].state]' '["skipped","cancelled"]'

# log.
run run smoke --results diverged --set train.lr=10 --set train.decay=10 --set train.steps=60 --quiet
run why state=failed --results diverged --json
key=$(jq -r '.[0].key' "$out")
run log "$key" --results diverged
ok "log prints the reason" out_has '^step [0-9]+: loss nan'
ok "and the class" out_has '^class: nan_loss'
run log "$key" --results diverged --follow
ok "--follow of an ended attempt ends" exits 0
run retry class=io --results diverged --json
ok "a selector takes a class" json_is '[.changed, (.cells | length)]' '[0,0]'
run retry class=nan_loss --results diverged --json
ok "that of the failure" json_is .changed 2
run log 0123456789ab --results diverged
ok "an unknown key is an error" test "$code" -ne 0

# A log, a checkpoint or an object that a dead run left behind is never a result.
mkdir -p dead/logs dead/checkpoints
run plan smoke --json --results dead
ok "no store, no cells done" json_is .to_run 27
key=$("$BIN" why --plan smoke --results fresh stage=train variant=ours --json | jq -r '.[0].key')
echo "finished" >"dead/logs/$(echo "$key" | cut -c1-12)-1.log"
cp "$(find results/local/objects -type f | head -n 1)" "dead/checkpoints/$key.safetensors.old"
run run smoke --results dead --json
ok "a run computes everything" json_is '[.hits, .ran, .failed]' '[0,27,0]'

finish
