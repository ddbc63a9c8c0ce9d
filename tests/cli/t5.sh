#!/bin/sh
# tandem t5: inputs and outputs as files; numbers are in tests/unit/eng_t5.c. tandem forward on a folder.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

gold=$SOURCE/tests/golden
tiny=$gold/tiny-cogvideox

run t5 --weights "$gold/t5_weights.safetensors" --config "$gold/t5_config.json" --in "$gold/t5.safetensors" --out ids.safetensors
ok "ids give a file" exits 0
ok "nothing is on standard output" out_empty
ok "a line says what was written" err_has '^wrote ids.safetensors: 3 prompts of 226 rows of 64$'
cp ids.safetensors first
run t5 --weights "$gold/t5_weights.safetensors" --config "$gold/t5_config.json" --in "$gold/t5.safetensors" --out ids.safetensors \
  --read --threads 1 -q
ok "again, read instead of mapped, on one thread" exits 0
ok "-q says nothing" err_empty
ok "the same bytes" cmp -s ids.safetensors first

printf 'a rainbow\n\n' >prompts.txt
printf '["a rainbow", ""]' >prompts.json
run t5 --weights "$tiny" --in prompts.txt --out text.safetensors
if grep -q 'no SentencePiece' "$err"; then
  ok "without SentencePiece the way out is named" err_has 'ready text embeddings'
  ok "and the status is 1" exits 1
  skip "prompts" "this build has no SentencePiece"
else
  ok "a text file of prompts, and a folder's own tokenizer" exits 0
  run t5 --weights "$tiny/text_encoder" --tokenizer "$tiny/tokenizer/spiece.model" --in prompts.json --out json.safetensors
  ok "a JSON list, and parts given one by one" exits 0
  ok "the same bytes" cmp -s text.safetensors json.safetensors
  run t5 --weights "$tiny/text_encoder" --in prompts.json --out json.safetensors
  ok "prompts need a tokenizer" exits 2
  ok "which is said" err_has '--tokenizer FILE'
  printf '{"prompts": ["x", 3]}' >odd.json
  run t5 --weights "$tiny" --in odd.json --out json.safetensors
  ok "a prompt that is no string" err_has 'odd.json:1:19: a prompt is a string'
  printf 'junk' >bad.model
  run t5 --weights "$tiny" --tokenizer bad.model --in prompts.json --out json.safetensors
  ok "a file that is no tokenizer" err_has 'bad.model: .*no sound SentencePiece model'
  ok "is a failure, not a crash" exits 1
fi

run t5 --weights "$tiny/transformer" --config "$gold/t5_config.json" --in "$gold/t5.safetensors" --out none.safetensors
ok "weights of something else" exits 1
ok "their problem is told" err_has 'num_layers is 2 in the config, 0 in the weights'
ok "nothing is left behind" test ! -e none.safetensors
run t5 --weights "$gold/t5_weights.safetensors" --in "$gold/t5.safetensors" --out none.safetensors
ok "a file without a config beside it" err_has 'config.json: no such file'
run t5 --weights "$tiny" --in "$gold/t5_weights.safetensors" --out none.safetensors
ok "a file without ids" err_has "'in.ids' is missing"
run t5 --weights "$tiny" --in "$gold/t5.safetensors" --out /dev/null
ok "an output that is no file" exits 2

run forward --weights "$tiny" --in "$gold/tiny-cogvideox_forward.safetensors" --out v.safetensors
ok "forward takes a folder too; this file has no text" err_has "'in.text' is missing"
finish
