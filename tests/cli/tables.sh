#!/bin/sh
# table with projections and specs, show --cell, paper build and check.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ]; then
  skip "tables" "needs jq"
  finish
fi

# The smoke study with a paper; its variants are base, batch and ours.
mkdir paper
sed -e 's#"\.\./#"'"$SOURCE"'/configs/#g' -e '$d' "$SOURCE/configs/studies/smoke.json" >study.json
tail -n 1 "$SOURCE/configs/studies/smoke.json" | grep -q '^}$' || exit 1
cp study.json head.json
paper() { { cat head.json && echo ", \"paper\": $1}"; } >study.json; }
paper '{}'
run run study.json --quiet
ok "a study runs" exits 0

run table study.json --format latex
ok "latex succeeds" exits 0
ok "it says where it comes from" out_has '^% study smoke, spec [0-9a-f]{64}$'
ok "and with which metrics" out_has '^% metric versions: true_iou_gain [0-9]'
ok "and which build" out_has '^% build [0-9a-f]{12}'
cp "$out" fragment.tex
run table study.json -o plain.tex
ok "the end of the file's name is the format" cmp -s plain.tex fragment.tex
ok "beside it lie its cells" test -s plain.tex.cells.json
# shellcheck disable=SC2016  # signs that TeX takes for its own
run table study.json --format latex --standalone --caption '{}~^ \ 100 %' --rows 'category variant' \
  --label 'ours=[*_%&#${}~^\ "<b>|`--\[é画α↑😀' --label 'batch=[x] {y} \end{document} $z$'
ok "a document has a frame" out_has '^\\end\{document\}$'
cp "$out" whole.tex
if have pdflatex && kpsewhich siunitx.sty booktabs.sty >/dev/null 2>&1; then
  ok "pdflatex takes it" sh -c 'pdflatex -interaction=nonstopmode -halt-on-error whole.tex >/dev/null 2>&1 && test -s whole.pdf'
else
  skip "pdflatex takes it" "no pdflatex with siunitx and booktabs"
fi
run table study.json --format html --standalone
ok "html is a page" out_has '^<!DOCTYPE html>$'
ok "and loads nothing" out_lacks '(src|href)='
run table study.json --format html
ok "or a piece of one" out_lacks '<html'
env -i PATH="$PATH" HOME="$work" LC_ALL=de_DE.UTF-8 LANG=de_DE.UTF-8 "$BIN" table study.json --format latex >german.tex 2>/dev/null
ok "another locale changes nothing" cmp -s german.tex fragment.tex

run table study.json --json --rows 'variant@(batch=Batch ours)' --cols 'metric@(rgb_rmse_base)'
ok "rows and columns can be chosen" json_is '[[.rows[].variant], [.columns[].metric]]' '[["batch","ours"],["rgb_rmse_base"]]'
run table study.json --json
cp "$out" all.json
holm=$(jq '.rows[] | select(.variant == "batch") | .cells[0].to_reference.p_holm' all.json)
run table study.json --json --rows 'variant@(batch)' --cols 'metric@(true_iou_gain)'
ok "showing less makes no family smaller" json_is '.rows[0].cells[0].to_reference.p_holm' "$holm"
run table study.json --split sample_seed --json
ok "split gives a list of tables" json_is '[.[].part]' '["sample_seed 0","sample_seed 1"]'
run table study.json --filter 'sample_seed=0' --json
ok "a filter leaves fewer clips" json_is '[.rows[].planned]' '[2,2,2]'
run table study.json --rows prompt --filter variant=ours
ok "prompts can be rows" out_has '^prompt +n '
run table study.json --rows sample_seed
ok "what a cell averages over is told" out_has 'averages over variant'
run table study.json --label 'ours=Our 100 %' --format latex
ok "a label is escaped" out_has '^ +Our 100 \\% &'
run table study.json --no-differences
ok "means alone" out_lacks '95 %'
for bad in "--rows vriant" "--rows metric" "--cols variant" "--filter nonsense" "--precision 13" "--label x" \
  "--spec no.json --rows variant" "--rows variant@(ourss)"; do
  # shellcheck disable=SC2086  # an option and its value
  run table study.json $bad
  ok "'$bad' is a usage error" exits 2
  ok "'$bad' prints nothing" out_empty
done

cat >paper/main.json <<'END'
{"schema": 1, "rows": "variant@(ours=Ours batch base)", "columns": "metric@(true_iou_gain rgb_rmse_base)",
 "caption": "Main_result", "label": "tab:main", "output": ["main.tex", "main.md", "main.html", "main.csv", "main.txt"]}
END
run table study.json --spec paper/main.json --format latex
ok "a spec says what is shown" out_has 'caption\{Main\\_result\}'
ok "and under which label" out_has 'label\{tab:main\}'
cat >bad.json <<'END'
{"schema": 1,
 "rows": "variant@(orus)",
 "colums": "metric"}
END
run table study.json --spec bad.json
ok "a bad spec is a usage error" exits 2
ok "its place is named" err_has '^bad.json:2:2: error: rows: .*did you mean .ours'
ok "every problem of it" err_has '^bad.json:3:2: error: key .colums. is not known; did you mean .columns'

echo '{"schema": 1,' >bad.json
run table study.json --spec bad.json
ok "so is one that is no JSON" exits 2
ok "with its place" err_has 'bad.json:2:1: '

run table study.json -o t.csv --rows 'variant@(base ours)' --cols 'metric@(rgb_rmse_base)' --numbers n.tex
ok "numbers for prose" grep -qF '\newcommand{\tdBaseRgbRmseBase}{\ensuremath{0}}' n.tex
run show --cell t.csv:1,1 --json
ok "a cell leads to its clips" json_is '[.row, .metric, (.clips | length)]' '["base","rgb_rmse_base",4]'
ok "with their values" json_is '[.clips[].value] | unique' '[0]'
clip=$(jq -r '.clips[0].clip' "$out")
ok "and their files" test -s "$clip"
run show --cell t.csv:2,1
ok "in words as well" out_has '^ours, rgb_rmse_base .*over 4 clips$'
ok "mean of the clips is the number" test "$(awk 'NR > 2 {s += $6; n++} END {printf "%.6f", s / n}' "$out")" = \
  "$(awk -F, '$4 == "ours" {printf "%.6f", $11}' t.csv)"
for bad in t.csv t.csv:3,1 t.csv:1,2 t.csv:0,1 :1,1; do
  run show --cell "$bad"
  ok "--cell $bad is a usage error" exits 2
done
run show
ok "show wants something" exits 2

run paper build study.json
ok "a study without tables has no paper" exits 2
ok "and is told how" err_has '"paper": \{"tables"'
for bad in '{"figures": ["x.json"]}' '{"tabels": []}' '{"tables": "x"}' '{"tables": [1]}' '{"numbers": 1}' '[]'; do
  paper "$bad"
  run check study.json
  ok "paper $bad is refused" exits 2
  ok "paper $bad has a place" err_has '^study.json:[0-9]+:[0-9]+: error: '
done
paper '{"tables": ["paper/main.json"], "numbers": "paper/numbers.tex"}'
run paper check study.json
ok "what was never built is drift" exits 1
ok "which is said" out_has '^paper/main.tex: is not there$'
run paper build study.json
ok "build succeeds" exits 0
ok "it lists what it wrote" out_has '^paper/numbers.tex$'
ok "the study is the same one to the store" sh -c '! grep -q "another version" paper/main.tex'
mkdir first
cp paper/* first
run paper build study.json
for file in first/*; do ok "a second build writes the same ${file#first/}" cmp -s "$file" "paper/${file#first/}"; done
run paper check study.json
ok "check agrees" exits 0
ok "and counts" out_has '^11 files follow from the store$'
sed -i 's/Ours/Theirs/' paper/main.md
run paper check study.json
ok "an edited table is drift" exits 1
ok "the file is named" out_has '^paper/main.md: differs$'
ok "with the line as it is" out_has '^  - \| Theirs \|'
ok "and as it should be" out_has '^  \+ \| Ours \|'
run show --cell paper/main.html:2,2 --json
ok "outputs of the paper lead to clips" json_is .row batch

# A prompt more: its clips are missing.
sed 's/"out-01"\]/"out-01", "out-02"]/' study.json >more.json
ok "the study grew" sh -c '! cmp -s study.json more.json'
run table more.json --format md
ok "a missing clip is a footnote" out_has '2 of 6 clips are missing \(not run 2\)'
run paper check more.json
ok "missing cells are exit 4" exits 4
ok "and told" err_has 'paper/main.json: 6 clips of the tables are missing'
run paper frobnicate study.json
ok "paper builds or checks" exits 2

finish
