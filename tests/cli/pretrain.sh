#!/bin/sh
# tandem pretrain: what it writes, how it stops and goes on.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

CONFIG=$SOURCE/configs/models/tiny.json
few="--threads 1 --set pretrain.clips=4 --set pretrain.batch=1 --set pretrain.muon_lr=0 --set pretrain.steps=12"

# shellcheck disable=SC2086  # $few is a list of words
run pretrain "$CONFIG" --out whole.safetensors $few
ok "a base model is trained" exits 0
ok "nothing is on standard output" out_empty
ok "the progress is plain lines" plain
ok "the weights are there" test -s whole.safetensors
ok "the checkpoint is gone" test ! -e whole.safetensors.checkpoint
ok "the curve has a row for ten steps" test "$(wc -l <whole.loss.csv)" -eq 3
if [ "$json" = jq ]; then
  cp whole.provenance.json "$out"
  ok "the provenance has its settings" json_is '[.settings.pretrain.steps, .settings.pretrain.seed]' '[12,0]'
  ok "and its command" json_is '.command[1]' pretrain
  ok "and the losses" json_is '[.losses[].step]' '[12]'
  if have sha256sum; then
    ok "and the hash of the weights" json_is .weights_sha256 "$(sha256sum whole.safetensors | cut -d' ' -f1)"
    ok "and of the config" json_is .config_sha256 "$(sha256sum "$CONFIG" | cut -d' ' -f1)"
  fi
else
  skip "provenance" "needs jq"
fi

# shellcheck disable=SC2086
run pretrain "$CONFIG" --out whole.safetensors $few
ok "weights that are there are not replaced unasked" exits 2
ok "and it says how" err_has '--force'

# stop SIGNAL STATUS: stops in the middle, then goes on
stop() {
  # shellcheck disable=SC2086
  env -i PATH="$PATH" HOME="$work" LC_ALL=C CI=true setsid "$BIN" pretrain "$CONFIG" --out "$1.safetensors" $few \
    --set pretrain.steps=200 >"$out" 2>"$err" </dev/null &
  pid=$!
  tries=0
  while ! grep -q 'step ' "$err" && [ $tries -lt 200 ]; do sleep 0.05 && tries=$((tries + 1)); done
  kill -"$1" $pid
  code=0
  wait $pid || code=$?
  ran="pretrain, then SIG$1"
  ok "SIG$1 ends with $2" exits "$2"
  ok "SIG$1: it says how to go on" err_has 'stopped after step [0-9]+ of 200; kept in .*; the same command goes on'
  ok "SIG$1: no weights yet" test ! -e "$1.safetensors"
}
stop TERM 75
stop USR1 75
if [ -s TERM.safetensors.checkpoint ]; then
  # shellcheck disable=SC2086
  run pretrain "$CONFIG" --out TERM.safetensors $few
  ok "other settings than the checkpoint's start over, with a warning" err_has 'warning: .*starts over'
  ok "to the bits of a run that had no checkpoint" cmp -s whole.safetensors TERM.safetensors
fi
# shellcheck disable=SC2086
run pretrain "$CONFIG" --out USR1.safetensors $few --set pretrain.steps=200
ok "the same command goes on" exits 0
ok "after the step it had" err_has 'goes on after step [0-9]+'
# shellcheck disable=SC2086
run pretrain "$CONFIG" --out straight.safetensors $few --set pretrain.steps=200
ok "to the bits of an uninterrupted run" cmp -s straight.safetensors USR1.safetensors

run pretrain "$CONFIG" --out x.safetensors --set pretrain.stepps=3
ok "an unknown setting is a usage error" exits 2
ok "with a suggestion" err_has "did you mean 'pretrain.steps'"
run pretrain "$CONFIG" --out x.safetensors --set train.rank=3
ok "a setting of another stage is refused" exits 2
run pretrain "$CONFIG" --out x.safetensors --set pretrain.steps=0
ok "a value out of range is refused" err_has 'whole number from 1'
run pretrain "$CONFIG" --out no/such/folder/x.safetensors
ok "a folder that is not there is found before training" err_has 'no/such/folder.*No such file'
run pretrain nothing.json --out x.safetensors
ok "a config that is not there is named" err_has 'nothing.json'
ok "nothing was left" test ! -e x.safetensors -a ! -e x.safetensors.checkpoint

finish
