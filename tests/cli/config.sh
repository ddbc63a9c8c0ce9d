#!/bin/sh
# tandem config: values of settings and where they come from.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

cat >parent.json <<'END'
{
  "schema": 1, "study": "parent",
  "base": {"train": {"steps": 11, "warmup": 2, "rank": 4}},
  "variants": {"ours": "ours", "null": "batch"},
  "matrix": {"axes": {"variant": "*", "prompt": "*"}},
  "prompts": {"list": ["red circle"]}, "metrics": ["alpha_coverage"]
}
END
cat >child.json <<'END'
{
  "schema": 1, "study": "child", "extends": ["parent.json"],
  "base": {"train": {"lr": 0.5}},
  "variants": {"long": {"design": "ours", "train.steps": 22}, "base": "base"}
}
END

run config child.json --explain train.steps
ok "a setting is explained" exits 0
ok "with what it is" out_has '^train.steps: optimiser steps'
ok "a value of an extended file has its place there" out_has '^ours +11 +.*parent.json:3:[0-9]+$'
ok "a variant's own value has its place" out_has '^long +22 +.*child.json:4:[0-9]+$'
ok "a design without training does not read it" out_has '^base +11 +not read$'
ok "nothing is complained about" err_empty
run config child.json --explain train.beta1
ok "a default says so" out_has '^ours +0.9 +default$'
run config child.json --set train.steps=33 --explain train.steps
ok "the command line wins" out_has '^long +33 +command line$'
run config child.json
ok "all settings of the reference" out_has '^train.lr +0.5 +.*child.json:3:[0-9]+$'
ok "those that are read" out_has '^sample.steps +25 +default$'
run config child.json --variant base
ok "of another variant" exits 0
ok "without what it does not read" sh -c "! grep -q '^train.lr' '$out'"
run config child.json --explain train.step
ok "an unknown setting" exits 2
ok "gets a suggestion" err_has "did you mean 'train.steps'"
run config child.json --variant nobody
ok "an unknown variant" exits 2
if [ "$json" = jq ]; then
  run config child.json --explain train.steps --json
  ok "the document" json_is '.[0] | [.variant, .setting, .value, .read]' '["ours","train.steps",11,true]'
fi
finish
