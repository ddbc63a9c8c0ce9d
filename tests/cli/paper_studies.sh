#!/bin/sh
# The studies of the paper's figures, tiny and at 5B: each is read without a complaint and planned whole.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ]; then
  skip "the paper's studies" "needs jq"
  finish
fi

# what the 5B studies are given: a plan reads bytes, not weights
mkdir others data
for prompt in in-01 in-02 in-05 in-09 out-01 out-06 out-10 out-17; do echo "$prompt" >"others/${prompt}_0.mov"; done
jq -r .id "$SOURCE/configs/prompts/paper-12.jsonl" | while read -r prompt; do echo "$prompt" >"others/${prompt}_0.mov"; done
echo weights >w.safetensors
echo vae >vae.json
echo clip >data/clip.mov

# planned STUDY TRAININGS CLIPS [NAME=VALUE]...: TRAININGS and score cells; every clip is new
planned() {
  study=$1 trains=$2 clips=$3
  shift 3
  run plan "$study" "$@" --json
  ok "$study is planned" exits 0
  ok "$study: nothing is complained about" err_empty
  ok "$study: trainings and scores" json_is \
    '.stages | [.train.cells, .score.cells]' "[$trains,$clips]"
}
five() { set -- "$@" weights=w.safetensors vae=vae.json data=data && planned "$@"; }

planned fig4 12 768
planned fig5 3 256
planned fig7 3 256
planned fig8-table1 1 24 baseline=others
planned fig10-fig11 6 448
five fig4-5b 12 288
five fig5-5b 3 96
five fig7-5b 3 96
five fig8-table1-5b 1 36 baseline=others
five fig10-fig11-5b 6 168

run plan fig5-5b
ok "a 5B study says what it must be given" exits 2
ok "by name" err_has 'weights'
run plan fig8-table1 baseline=data
ok "clips that are missing are named" exits 2
ok "with the file they should be" err_has 'in-01_0'

finish
