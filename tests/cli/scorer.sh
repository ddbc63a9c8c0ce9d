#!/bin/sh
# External scorers in a study: reasons instead of lost cells, nothing asked twice, versions in keys.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ] || ! have sqlite3; then
  skip "scorers" "needs jq and sqlite3"
  finish
fi
query() { sqlite3 -batch -noheader "$1/store.db" "$2"; }
says() { [ "$(query "$1" "$2")" = "$3" ] || { echo "# got $(query "$1" "$2"), wanted $3" && false; }; }
mkdir scorers && cp "$SOURCE/tests/support/fake_scorer.sh" scorers/fake.sh

# study FILE ARGV [MORE]: one design and the base model, one prompt, two seeds: four clips; 1 + 1 + 4 + 4 cells and four
# more a scorer. Seed 0 is where the fake scorer misbehaves. MORE: members of "external".
entry() { printf '{"id": "%s", "external": {"argv": %s%s}}' "$1" "$2" "${3:+, $3}"; }
study() {
  cat >"$1" <<END
{"schema": 1, "study": "scored", "extends": ["$SOURCE/configs/studies/smoke.json"],
 "variants": {"batch": null},
 "matrix": {"axes": {"variant": "*", "train_seed": [0], "sample_seed": [0, 1], "prompt": ["in-01"]}},
 "primary": [${3:-}],
 "metrics": ["alpha_coverage"${2:+, $2}]}
END
}
sane='["scorers/fake.sh", "good"]'
brief='"timeout_s": 0.2, "start_s": 0.5'

study plain.json ""
run run plain.json --results s --json
ok "a study without scorers" json_is '[.cells, .ran]' '[10,10]'

# --- it works ---
study good.json "$(entry fake "$sane")" '"fake/edge"'
run check good.json --json
ok "a scorer has a score cell a clip" json_is '[.cells.score, .cells.total, .metrics]' '[8,14,3]'
ok "check says what it measures" json_is '.scorers' \
  '[{"id":"fake","card":"fake","version":1,"measures":["fake/edge","fake/ink"]}]'
run run good.json --results s --json
ok "only the scorer's cells run" json_is '[.ran, .hits, .failed, .unanswered]' '[4,10,0,0]'
run run good.json --results s --json
ok "the same again runs nothing" json_is .ran 0
ok "values are measures of clips" says s \
  "SELECT group_concat(value || ':' || version || ':' || n) FROM (SELECT DISTINCT value, version, n FROM measure
   WHERE metric = 'fake/ink')" '0.25:1:1'
ok "a clip without alpha has none of its measures" says s \
  "SELECT group_concat(r) FROM (SELECT DISTINCT variant || ' ' || coalesce(reason, value) AS r FROM v_score
   WHERE metric = 'fake/edge' ORDER BY 1)" 'base no_alpha,ours 3.0'
ok "the definition is stored" says s "SELECT direction, unit, lo, hi, plane, doc FROM metric_def WHERE metric = 'fake/ink'" \
  'up|share|0.0|1.0|rgb|of "ink"'
ok "no temporary file is left" test -z "$(ls s/tmp)"
run table good.json --results s
ok "the table has it, primary first" out_has '^variant +n +fake/edge.*alpha_coverage +fake/ink'
run table good.json --results s --format csv
ok "a table of data has it" out_has 'fake/ink'
run show "$(query s "SELECT key FROM cell_input WHERE role = 'scorer' LIMIT 1" | cut -c 1-12)" --results s
ok "show has the measures" out_has '^fake/ink +1 +0.25 +1$'
run status good.json --results s
ok "status counts its cells" out_has '^score .* 8 '

# --- keys ---
study v2.json "$(entry fake '["scorers/fake.sh", "good", "version=2"]')"
run run v2.json --results s --json
ok "another version runs only the scorer's cells" json_is '[.ran, .hits]' '[4,10]'
mkdir moved moved/scorers && cp scorers/fake.sh moved/scorers/ && cp good.json moved/
run run moved/good.json --results s --json
ok "moving the study changes no key" json_is .ran 0
study slow.json "$(entry fake "$sane" '"timeout_s": 77, "failures": 9')"
run run slow.json --results s --json
ok "limits are in no key" json_is .ran 0
sed -i 's/"of /"share of /' scorers/fake.sh
run run good.json --results s --json
ok "help is in no key" json_is .ran 0
sed -i 's/"unit": "share"/"unit": "px"/' scorers/fake.sh
run run good.json --results s
ok "another meaning under the same version is refused" err_has 'fake/ink version 1 is stored with another'
cp "$SOURCE/tests/support/fake_scorer.sh" scorers/fake.sh

# --- whatever it does, the rest is done ---
# mode, reason of ink on seed 0, limits
while read -r mode reason limits; do
  study "$mode.json" "$(entry "$mode" "[\"scorers/fake.sh\", \"$mode\"]" "$([ "$limits" != brief ] || echo "$brief")")"
  run run "$mode.json" --results s --json
  ok "$mode: the study is done" json_is '[.ran, .failed, .blocked]' '[4,0,0]'
  ok "$mode: the reason is stored" says s "SELECT group_concat(DISTINCT reason) FROM v_score
    WHERE metric = '$mode/ink' AND sample_seed = 0" "$reason"
  [ "$limits" = brief ] || ok "$mode: the other seed has its value" says s \
    "SELECT group_concat(DISTINCT coalesce(reason, value)) FROM v_score WHERE metric = '$mode/ink' AND sample_seed = 1" 0.25
  run run "$mode.json" --results s --json
  ok "$mode: again runs nothing" json_is .ran 0
done <<END
hang scorer_timeout brief
stubborn scorer_timeout brief
die scorer_died -
die-middle scorer_died -
leave scorer_died -
mute scorer_died -
garbage scorer_garbage -
unknown scorer_garbage -
flood scorer_flood -
flood-line scorer_flood -
nan scorer_not_finite -
overflow scorer_not_finite -
range scorer_range -
twice scorer_duplicate -
missing scorer_missing -
reason too_dark -
start-die scorer_died brief
END
run run die.json --results s
run table die.json --results s
ok "the table has the reasons" out_has 'undefined on 1 of 2 clips \(scorer_died 1\)'
log=$(query s "SELECT log_path FROM attempt JOIN measure USING(attempt_id) WHERE metric = 'garbage/ink'
  AND reason = 'scorer_garbage' LIMIT 1")
ok "the cell's log says what was wrong" grep -q 'scorer_garbage: not JSON: Loading weights: 100%' "s/$log"
study noisy.json "$(entry noisy '["scorers/fake.sh", "noisy"]')"
run run noisy.json --results s --json
ok "much on standard error is no failure" json_is '[.ran, .unanswered]' '[4,0]'
log=$(query s "SELECT log_path FROM attempt JOIN cell USING(key) JOIN measure USING(attempt_id)
  WHERE metric = 'noisy/ink' AND json_extract(spec_json, '\$.sample_seed') = 0 LIMIT 1")
ok "its log has some of it" test "$(tr -dc e <"s/$log" | wc -c)" -gt 1000
ok "and not all" test "$(wc -c <"s/$log")" -lt 70000

# --- frames, base clips ---
study raw.json "$(entry raw '["scorers/fake.sh", "raw"]')"
run run raw.json --results s --json
ok "frames are handed over raw" says s "SELECT DISTINCT value FROM v_score WHERE metric = 'raw/ink' AND sample_seed = 0" \
  7.3728e-05 # 8 x 48 x 48 x 4 bytes
study base.json "$(entry base '["scorers/fake.sh", "base"]')"
run run base.json --results s --json
ok "a scorer that wants the base clip has it as an input" says s \
  "SELECT count(*) FROM cell_input a JOIN cell_input b USING(key) WHERE a.role = 'scorer' AND b.role = 'base'" 4
study only.json "$(entry only "$sane")"
sed -i 's/"alpha_coverage", //' only.json
run run only.json --results s --json
ok "a study may have a scorer alone" json_is '[.cells, .failed, .ran]' '[10,0,4]'
study two.json "$(entry a "$sane"), $(entry b '["scorers/fake.sh", "die"]')"
run run two.json --results two --json
ok "one scorer's failure is not another's" json_is '[.cells, .ran, .failed, .unanswered]' '[18,18,0,2]'
ok "the other has all values" says two "SELECT count(value) FROM v_score WHERE metric = 'a/ink'" 4
ok "and so have the metrics in process" says two "SELECT count(value) FROM v_score WHERE metric = 'alpha_coverage'" 2

# --- asking again ---
cat >scorers/mended.sh <<'END'
#!/bin/sh
[ -e "$(dirname "$0")/mended" ] && exec "$(dirname "$0")/fake.sh" good "$@"
exec "$(dirname "$0")/fake.sh" die "$@"
END
chmod +x scorers/mended.sh
study mended.json "$(entry mended '["scorers/mended.sh"]')"
run run mended.json --results s
ok "a run says that a scorer failed" err_has 'scorers failed on 2 clips.*--retry'
: >scorers/mended
run run mended.json --results s --json
ok "a mended scorer is not asked by itself" json_is '[.ran, .unanswered]' '[0,2]'
run run mended.json --results s --retry --json
ok "--retry asks again what failed, and only that" json_is '[.ran, .unanswered]' '[2,0]'
ok "and has the values" says s "SELECT count(value) FROM v_score WHERE metric = 'mended/ink'" 4

# --- stopping ---
study stopped.json "$(entry stopped '["scorers/fake.sh", "hang"]')"
env -i PATH="$PATH" HOME="$work" LC_ALL=C CI=true "$BIN" run stopped.json --results s --jobs 1 >bg.out 2>&1 </dev/null &
pid=$!
i=0
while [ $i -lt 300 ] && [ "$(query s "SELECT count(*) FROM v_missing WHERE study = 'scored' AND state = 'running'")" != 4 ]; do
  sleep 0.1
  i=$((i + 1))
done
kill -INT $pid
code=0
wait $pid || code=$?
ran="run, then SIGINT while a scorer hangs"
ok "Ctrl-C does not wait for a scorer" exits 130
ok "and gives its cells back" says s \
  "SELECT group_concat(DISTINCT state) FROM cell WHERE spec_json LIKE '%stopped/ink%'" ready

# --- what check says ---
cat >bad.json <<END
{"schema": 1, "study": "bad", "extends": ["$SOURCE/configs/studies/smoke.json"],
 "primary": ["fake/inc", {"id": "p", "external": {"argv": ["x"]}}],
 "metrics": [
  {"id": "a/b", "external": {"argv": ["scorers/fake.sh"]}},
  {"id": "c", "external": {"argv": []}},
  {"id": "d", "external": {"argv": ["scorers/fake.sh", 3]}},
  {"id": "e", "external": {"argv": ["scorers/none.sh"]}},
  {"id": "f", "external": {"argv": ["scorers/fake.sh", "describe-garbage"]}},
  {"id": "g", "external": {"argv": ["scorers/fake.sh", "describe-hang"], "start_s": 0.3}},
  {"id": "h", "external": {"argv": ["scorers/fake.sh"], "timeout": 3}},
  {"id": "i", "external": {"argv": ["scorers/fake.sh"], "timeout_s": -1}},
  {"id": "j", "external": {"argv": ["scorers/fake.sh"], "protocol": 2}},
  {"id": "k", "external": "scorers/fake.sh"},
  {"id": "l", "external": {"argv": ["\${model}"]}},
  {"id": "fake", "external": {"argv": $sane}},
  {"id": "fake", "external": {"argv": $sane}}
 ]}
END
run check bad.json
ok "bad entries are usage errors" exits 2
while read -r place text; do
  ok "$place has its problem" err_has "^bad.json:$place: error: .*$text"
done <<'END'
2:14 no scorer of the study measures 'fake/inc' .measured: fake/ink, fake/edge.
2:26 a metric is its text
4:4 a scorer wants an "id"
5:28 argv wants the program
6:28 argv wants the program
7:3 scorer 'e': scorers/none.sh cannot be started in this folder: No such file
8:3 scorer 'f': scorers/fake.sh --describe: its description:1:1
9:3 scorer 'g': scorers/fake.sh --describe: it did not end within 0.3 s
10:57 key 'timeout' is not known; did you mean 'timeout_s'
11:57 timeout_s wants a number
12:57 protocol wants a number from 1 to 1
13:15 external wants
14:37 names no argument
16:4 scorer 'fake' is given twice
END

# --- the scorer that comes with the program ---
if have python3; then
  study example.json "$(entry example "[\"$SOURCE/configs/scorers/example.py\"]")"
  run run example.json --results s --json
  ok "the example answers" json_is '[.ran, .failed, .unanswered]' '[4,0,0]'
  ok "with plausible values" says s "SELECT count(*) FROM v_score WHERE metric = 'example/colourfulness' AND value > 1" 4
  ok "of alpha where there is one" says s \
    "SELECT count(*) FROM v_score WHERE metric = 'example/alpha_flicker' AND value > 0 AND value < 1" 2
  awk '/^```python/ { on = 1; next } /^```/ { on = 0 } on' "$SOURCE/docs/scorers.md" >scorers/page.py
  study page.json "$(entry page '["python3", "scorers/page.py"]')"
  run run page.json --results s --json
  ok "the page's skeleton answers" json_is '[.ran, .failed, .unanswered]' '[4,0,0]'
  ok "with the mean of the picture" says s "SELECT count(*) FROM v_score WHERE metric = 'page/brightness' AND value > 1" 4
else
  skip "the example scorer" "no python3"
fi

finish
