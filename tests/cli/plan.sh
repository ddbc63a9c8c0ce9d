#!/bin/sh
# plan and why: what a run would do, and what decided about each cell.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ]; then
  skip "plan and why" "needs jq"
  finish
fi

run plan smoke --json
ok "a plan needs no store" exits 0
ok "nothing was made" test ! -e results
ok "all cells are to run" json_is '[.cells, .to_run, .stages.train.to_run, .stages.score.done]' '[27,27,2,0]'
ok "no time is known" json_is '[.cells_of_unknown_time, .worker_seconds, .cells_of_unknown_size]' '[27,0,27]'
ok "there is no earlier run" json_is '[.difference.first_run, .difference.new, (.difference.cells | length)]' '[true,0,0]'
ok "every variant is measured" json_is '[.costs[].design] | unique' '["base","batch","ours"]'
ok "a design that trains nothing has no training step" json_is '[.costs[] | select(.design == "base") | .pass]' '["sample"]'
ok "recomputing needs less memory and more work" json_is \
  '[.costs[] | select(.design == "ours" and .pass == "train")] | sort_by(.recompute) |
   [.[0].activation_bytes > .[1].activation_bytes, .[0].flops < .[1].flops, .[1].flops > 0]' '[true,true,true]'
run plan smoke
ok "as text: times are unknown" out_has '^total +27 +0 +0 +27 +0 +0 +0 +unknown +unknown$'

run run smoke --quiet
ok "a study runs" exits 0
run plan smoke --json
ok "after a run nothing is left" json_is '[.to_run, .stages.sample.done, .stages.prepare.done]' '[0,12,1]'
ok "and nothing differs" json_is '[.difference.first_run, .difference.new, .difference.changed, .difference.gone]' '[false,0,0,0]'

# A new seed: the same shapes, so times and sizes are known.
sed 's/"sample_seed": \[0, 1\]/"sample_seed": [1, 2]/; s|../prompts|'"$SOURCE"'/configs/prompts|' \
  "$SOURCE/configs/studies/smoke.json" >seeds.json
run plan seeds.json --json
ok "another seed: new samples and scores, and scores of a kept seed whose partner changed" json_is \
  '[.difference.new, .difference.changed, .difference.gone]' '[12,6,12]'
ok "their time is known from those of the same shape" json_is \
  '[.stages.sample.to_run, .stages.sample.cells_of_unknown_time, .stages.sample.worker_seconds > 0]' '[6,0,true]'
ok "and their size" json_is '[.stages.sample.cells_of_unknown_size, .stages.sample.bytes > 0]' '[0,true]'

# Times that are known to the millisecond: a pack shares its time, and one slow cell of a shape moves no median.
if have sqlite3; then
  cp -r results/local timed
  samples="key IN (SELECT key FROM cell WHERE stage = 'sample')"
  sqlite3 timed/store.db "UPDATE attempt SET started_ms = 1000, ended_ms = 7000 WHERE $samples"
  run plan seeds.json --results timed --json
  ok "twelve cells of a pack of 6 s take 0.5 s each" json_is '.stages.sample.worker_seconds' 3
  sqlite3 timed/store.db "UPDATE attempt SET started_ms = attempt_id * 1000000, ended_ms = attempt_id * 1000000 + 250
    WHERE $samples; UPDATE attempt SET ended_ms = started_ms + 900000 WHERE attempt_id IN (SELECT max(attempt_id)
    FROM attempt JOIN cell USING(key) WHERE stage = 'sample' GROUP BY json_extract(spec_json, '\$.design'))"
  run plan seeds.json --results timed --json
  ok "the median of each shape counts" json_is '.stages.sample.worker_seconds' 1.5
else
  skip "shared times" "no sqlite3"
  skip "medians" "no sqlite3"
fi

run plan smoke --set sample.steps=3 --json
ok "a changed setting changes what reads it" json_is \
  '[.stages.train.to_run, .stages.sample.to_run, .stages.score.to_run]' '[0,12,12]'
ok "place by place" json_is '[.difference.new, .difference.changed, .difference.gone]' '[0,24,0]'
ok "no time is known of another shape" json_is '.stages.sample.cells_of_unknown_time' 12
ok "and keys of before and after are told" json_is \
  '.difference.cells[0] | [(.key | length), (.before | length), .key != .before]' '[64,64,true]'

run why state=done stage=train --json
ok "why of stored cells" json_is '[.[].reason]' '["done","done"]'
key=$(jq -r '.[0].key' "$out")
run why "$(echo "$key" | cut -c1-12)"
ok "of one by its key" out_has '  done by attempt 1 in [0-9.]+ s, build '
run why --plan smoke --json
ok "what was run is a hit in the plan" json_is '[.[].reason] | unique' '["done"]'
run why --plan smoke --set sample.steps=3 --most 0 --json
ok "all cells on demand" json_is length 27
ok "those that keep their keys are done" json_is '[.[] | select(.stage == "train") | .reason]' '["done","done"]'
ok "a sample differs in the setting alone" json_is \
  '[.[] | select(.stage == "sample") | .differences | map([.path, .before, .after])] | unique' \
  '[[["spec/sample/steps","2","3"]]]'
ok "a score in that of what it was made from" json_is \
  '[.[] | select(.stage == "score") | .differences[] | .path] | unique | all(test("^inputs/[a-z]+/spec/sample/steps$"))' true
run why --plan smoke --set sample.steps=3 stage=sample variant=ours seed=0 prompt=in-01
ok "as text" out_has '^    spec/sample/steps: 2 -> 3$'
ok "for one cell" test "$(grep -c '^sample' "$out")" = 1
mkdir copy && cp -r "$SOURCE/configs" copy/ && cp seeds.json copy/configs/studies/smoke.json
run why --plan copy/configs/studies/smoke.json stage=sample state=ready variant=base --json
ok "another seed is told as such" json_is \
  '[.[].differences[] | [.path, .after]] | unique' '[["spec/sample_seed","2"]]'
run why variant=ousr
ok "no cell is a usage error" exits 2
run why varaint=ours
ok "so is a wrong field" exits 2
ok "with a suggestion" err_has "did you mean 'variant'"
run why abcdef012345
ok "and a key that is not there" exits 2

# A failure and what it blocks.
run run smoke --results diverged --set train.lr=10 --set train.decay=10 --set train.steps=60 --quiet
ok "a run with failures" exits 3
run why --results diverged state=failed --json
ok "why names the class" json_is '[.[] | [.reason, (.text | test("class nan_loss: step"))]] | unique' '[["failed",true]]'
run why --results diverged state=blocked --most 1 --json
ok "and what blocks" json_is '.[0] | [.reason, (.text | test("^blocked by train [0-9a-f]{12} .failed: "))]' '["blocked",true]'
run plan smoke --results diverged --set train.lr=10 --set train.decay=10 --set train.steps=60 --json
ok "plan counts both" json_is '[.stages.train.failed, .stages.sample.blocked > 0, .to_run]' '[2,true,0]'

finish
