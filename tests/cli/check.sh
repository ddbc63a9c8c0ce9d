#!/bin/sh
# tandem check: problems with their places, counts, costs.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ]; then
  skip "check" "needs jq"
  finish
fi

run check smoke
ok "a study of the configs is found by its name" exits 0
ok "its cells are counted" out_has '^total +27$'
ok "nothing is complained about" err_empty
ok "nothing was made" test ! -e results
run check "$SOURCE/configs/studies/smoke.json" --json
ok "and by its path" exits 0
ok "the document says so" json_is .ok true
ok "stages are counted" json_is '[.cells.prepare, .cells.train, .cells.sample, .cells.score, .cells.total]' '[1,2,12,12,27]'
ok "variants have their designs" json_is '.variants[1] | [.variant, .design, .reference]' '["batch","batch",false]'
ok "there are no problems" json_is '.problems' '[]'
run check smoke --set train.steps=9 --set sample.guidance=1 --json
ok "settings change nothing in the counts" json_is .cells.total 27

cat >bad.json <<'END'
{
  "schema": 1,
  "study": "bad",
  "base": {"train": {"stepps": 3}},
  "variants": {"ours": "seqence", "b": "batch:exchange=nune"},
  "prompts": {"list": [{"id": "a", "text": "solid red circle left plain"}]},
  "metrics": ["color_fitt"]
}
END
run check bad.json
ok "a wrong study is a usage error" exits 2
ok "nothing is on standard output" out_empty
ok "a wrong setting has its place and a suggestion" err_has "^bad.json:4:22: error: .*stepps.*did you mean 'train.steps'"
ok "a wrong design as well" err_has "^bad.json:5:16: error: .*seqence.*did you mean 'sequence'"
ok "a wrong option as well" err_has "^bad.json:5:.*nune"
ok "a wrong metric as well" err_has "^bad.json:7:.*color_fitt.*did you mean 'color_fit'"
ok "they are counted" err_has '^tandem check: bad.json: [4-9] errors$'
run check bad.json --json
ok "with --json the problems are a document" exits 2
ok "which says no" json_is .ok false
ok "and has them all" json_is '[.problems[] | select(.line > 0)] | length > 3' true

printf '{"schema": 1, "schema": 1}' >twice.json
run check twice.json
ok "a key that comes twice is refused with its place" err_has '^twice.json:1:15: '
run check smokee
ok "an unknown study is a usage error" exits 2
ok "and gets a suggestion" err_has "did you mean 'smoke'"
run check
ok "a study is needed" exits 2
run check emoji
ok "an argument of the study that is missing is named" err_has "'data'"
run check smoke --limit x
ok "a number must be one" err_has "^tandem check: --limit wants a whole number"
name=$(printf 'a\377b.json')
cp bad.json "$name" 2>/dev/null && run check "$name" --json && is_json "a path that is not UTF-8 does not spoil the document"

finish
