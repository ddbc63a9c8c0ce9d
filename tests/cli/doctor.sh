#!/bin/sh
# tandem doctor: what it finds, what it leaves behind, what it says of 2B and 5B.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ]; then
  skip "doctor" "needs jq"
  finish
fi

run doctor
ok "this machine can do the work" exits 0
ok "every line has a verdict" test "$(grep -cvE '^(OK  |WARN|    )' "$out")" = 0
ok "it is plain text" plain
for name in cpu isa threads memory locale backends disk sqlite ffmpeg configs; do
  ok "it looks at $name" out_has "^(OK  |WARN)  $name "
done
ok "it leaves nothing behind" test "$(find . -name '.tandem*' -o -name results)" = ""

run doctor --json
ok "--json succeeds" exits 0
ok "and says the same" json_is '[.ok, (.checks | length)]' '[true,10]'

mkdir file-in-the-way && : >file-in-the-way/results
run doctor --results file-in-the-way/results/local --json
ok "a results folder that cannot be is exit 1" exits 1
ok "with a FAIL and advice" json_is '.checks[] | select(.name == "disk") | [.verdict, (.fix | length > 0)]' '["FAIL",true]'

run doctor --plan --json
ok "--plan succeeds" exits 0
# spec of the released models: parameters; 0.332, 0.983 and 0.669 PFLOP of a 5B forward pass by counting products
ok "2B has its parameters" json_is '[.plan[] | select(.model == "2B") | .params] | unique' '[1693783872]'
ok "5B has its parameters" json_is '[.plan[] | select(.model == "5B") | .params] | unique' '[5570283072]'
ok "the LoRA of 5B as released" json_is '[.plan[] | select(.model == "5B" and .design == "sequence") | .trained] | unique' '[132123648]'
ok "a 5B forward pass is 0.33 PFLOP" json_is \
  '.plan[] | select(.model == "5B" and .design == "base") | .flops / 1e12 | . > 329 and . < 335' true
ok "with alpha rows after it 0.98" json_is \
  '.plan[] | select(.model == "5B" and .design == "sequence" and .pass == "sample") | .flops / 1e12 | . > 975 and . < 990' true
ok "without RGB to alpha 0.82" json_is \
  '.plan[] | select(.model == "5B" and .design == "no-rgb-to-alpha" and .pass == "sample") | .flops / 1e12 | . > 816 and . < 830' true
ok "every design has both models" json_is \
  '[.plan | group_by(.model)[] | [.[].design] | unique | length] | [.[0] == .[1], .[0] > 9]' '[true,true]'
run doctor --plan
ok "as a table" out_has '^ *5B +sequence +train, recompute '
run doctor --plan --precision bf16 --fit 24GiB --json
ok "--fit chooses levels for a training step" exits 0
ok "LoRA training of 5B with alpha rows after it fits 24 GiB" json_is \
  '.plan[] | select(.model == "5B" and .design == "sequence") | [.fits, (.blocks_at_level | add), .total_bytes <= 24 * 1073741824]' '[true,42,true]'
ok "the owners' bytes are the total" json_is '[.plan[] | (.bytes | add) == .total_bytes] | all' true
ok "with weights of two bytes" json_is '[.plan[] | .bytes.weights == 2 * .params] | all' true
run doctor --plan --fit 12GB --json
ok "what does not fit says so" json_is '[.plan[] | select(.model == "5B") | .fits] | any' false
run doctor --plan --fit 24
ok "a size needs its unit" exits 2
ok "and the message says which" err_has '^tandem.*--fit 24: must be a positive number with GB, GiB, MB or MiB'
run doctor --plan --configs nowhere
ok "without the configs it says which file" err_has 'nowhere/models/cogvideox-2b.json'

finish
