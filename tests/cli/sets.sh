#!/bin/sh
# Scores of sets as cells of a study: they run, resume, wait for their clips, and are read beside their null.
# shellcheck source=tests/cli/_lib.sh
# shellcheck disable=SC2317  # helpers are called through ok
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ]; then
  skip "scores of sets in studies" "needs jq"
  finish
fi

# study NAME METRICS [MORE]
study() {
  cat >"$1.json" <<END
{"schema": 1, "study": "$1", "extends": ["$SOURCE/configs/studies/smoke.json"], "primary": ["alpha_coverage"],
  "metrics": [$2]${3:-}}
END
}
set_row() { # COLUMNS WHERE: one row of v_set as JSON
  run sql --results store --json "SELECT $1 FROM v_set WHERE $2"
  jq -c '.[0]' "$out"
}
row_is() { # JQ, of the last answer of sql
  jq -e ".[0] | $1" "$out" >/dev/null
}
same_numbers() { cmp -s stage.json verb.json && [ -s stage.json ]; }
csv_fields() { awk -F, 'NR == 1 { n = NF } NF != n { bad = 1 } END { exit bad || n < 30 }' "$out"; }

two='"rgba_stats_energy", {"set": "hof_energy:alpha=0", "against": "base"}'
study s "$two"
run check s.json --json
ok "check takes them" exits 0
ok "and counts their cells" json_is '[.cells.score, (.sets | length), .metrics]' '[17,2,1]'
run check s.json
ok "in its text as well" out_has '2 scores of sets'
run run s.json --results store --json
ok "they run" exits 0
ok "none failed" json_is '[.failed, .blocked]' '[0,0]'
run run s.json --results store --json
ok "again, nothing runs" json_is .ran 0

run sql --results store --json "SELECT count(*) AS n, sum(state='done') AS done FROM v_set WHERE study='s'"
ok "each row has its cell, the base model none against itself" json_is '[.[0].n, .[0].done]' '[5,5]'
set_row '*' "variant='ours' AND metric='rgba_stats_energy'" >/dev/null
ok "v_set has score, both n and the null" row_is '.against == "data" and .n == 4 and .n_against == 8 and
  .permutations == 499 and .value > .null_hi and .null_hi > .null_lo and .p <= 0.05 and .reason == null'
set_row '*' "variant='batch' AND against='base'" >/dev/null
ok "pictures that are the base model's cannot be told from them" row_is '.value <= 0 and .p == 1'
set_row '*' "variant='base' AND against='data'" >/dev/null
ok "clips without alpha are counted, and a score of none is a reason" row_is '.value == null and .n == 0 and
  .undefined == 4 and .reason == "too_few_clips" and .p == null'
run sql --results store --json "SELECT count(*) AS n FROM v_score WHERE metric LIKE '%energy%'"
ok "they are no scores of clips" json_is '.[0].n' 0
run sql --results store --json "SELECT metric, version, scope, n, value FROM measure WHERE metric LIKE '%#p'"
ok "their parts are measures of scope set" row_is '.scope == "set" and .version == 1'

# the same clips by hand, in the order of their cells' keys
mkdir x y
run sql --results store --json "SELECT i.role AS role, r.rel_path AS file FROM v_set v JOIN cell_input i USING(key)
  JOIN cell c ON c.key=i.input_key JOIN attempt_artifact a ON a.attempt_id=c.done_attempt_id JOIN artifact r
  USING(sha256) WHERE v.variant='ours' AND v.against='base'"
jq -r '.[] | "\(.role) \(.file)"' "$out" | while read -r role file; do cp "store/$file" "$role.mkv"; done
run score x --against y --set hof_energy:alpha=0 --json
jq -c 'select(.set) | [.value, .n, .n_against, .p, .null_mean, .null_lo, .null_hi]' "$out" >verb.json
set_row 'value, n, n_against, p, null_mean, null_lo, null_hi' "variant='ours' AND against='base'" |
  jq -c '[.value, .n, .n_against, .p, .null_mean, .null_lo, .null_hi]' >stage.json
ok "tandem score says the same of the same clips" same_numbers

run table s.json --results store
ok "the table has them below" out_has '^scores of sets'
ok "a head for each score and reference" out_has '^ rgba_stats_energy .* against data'
ok "value, null and where the one lies in the other" out_has '^  ours +4, 8 +[0-9.]+ +[-0-9.]+ \[.*\] +above +0\.0'
ok "those that cannot be told apart" out_has '^  batch +4, 4 +-[0-9.]+ .* 1$'
ok "and those without a value" out_has '^  base +0 of 4, 8 +n/a +too_few_clips'
run table s.json --results store --format md
ok "Markdown" out_has '^\| rgba\\_stats\\_energy ↓ against data \| ours \| 4, 8 \|'
run table s.json --results store --format csv
ok "CSV has as many fields in every line" csv_fields
ok "and a line each" out_has ',batch,hof_energy:alpha=0,1,down,.*,base,0,4,0,'
run table s.json --results store --json
ok "JSON" json_is '[.sets | length, (map(select(.null == "above")) | length > 0)]' '[5,true]'
run status s --results store
ok "status counts them as scores" out_has '^score +0 +0 +0 +17 '
run sheet s.json --results store -o sheet.png
ok "the contact sheet does not mind" test -s sheet.png
key=$(set_row key "variant='ours' AND against='base'" | jq -r .key)
run show "$key" --results store
ok "show tells the sets" out_has '^from the reference: 4 samples$'
ok "and the measures" out_has '^hof_energy:alpha=0#null_mean +1 '
run show "$key" --results store --json
ok "as JSON with every clip" json_is '[.inputs[] | select(.role | startswith("x/"))] | length' 4

study s "$two, \"alpha_soft_frac\""
run run s.json --results store --json
ok "a further metric of clips does not run them again" json_is '[.ran, .failed]' '[12,0]'
study s "$two, \"alpha_soft_frac\", {\"set\": \"rgba_stats_energy\", \"against\": \"ours\"}"
run run s.json --results store --json
ok "another reference runs its own cells" json_is '[.ran, .failed]' '[2,0]'
study s "\"hof_enrgy\""
run check s.json
ok "a mistyped one is told" exits 2
ok "with its place and the nearest of both lists" err_has "s.json:2:[0-9]+: error: unknown metric 'hof_enrgy'; did you mean 'hof_energy'"

# a training that diverges takes the clips of ours and batch with it
study broken "$two" ', "base": {"train": {"lr": 10, "decay": 10, "steps": 60}}'
run run broken.json --results other --json
ok "what cannot be made fails the run" exits 3
run sql --results other --json "SELECT state, count(*) AS n FROM v_set GROUP BY 1 ORDER BY 1"
ok "sets that miss clips are blocked, never smaller" json_is '[.[] | [.state, .n]]' '[["blocked",4],["done",1]]'
run table broken.json --results other
ok "and the table says so" out_has '^  ours +— +blocked'
finish
