#!/bin/sh
# tandem run: reconciling, resuming after anything, two at once, failures as results.
# shellcheck source=tests/cli/_lib.sh
# shellcheck disable=SC2317  # helpers are called through ok
. "$(dirname "$0")/_lib.sh"

have_sqlite() { command -v sqlite3 >/dev/null 2>&1; }
query() { sqlite3 -batch -noheader "$1/store.db" "$2"; }
# What a store says, without times and attempts: keys with states, objects by role, measures.
facts() {
  query "$1" "SELECT key, state FROM cell ORDER BY key;
    SELECT a.key, aa.role, aa.sha256 FROM cell c JOIN attempt a ON a.attempt_id = c.done_attempt_id
      JOIN attempt_artifact aa USING(attempt_id) ORDER BY 1, 2;
    SELECT a.key, metric, version, value, value_kind FROM cell c JOIN attempt a ON a.attempt_id = c.done_attempt_id
      JOIN measure m USING(attempt_id) ORDER BY 1, 2"
}
same_facts() { facts "$1" >"$work/f1" && facts "$2" >"$work/f2" && [ -s "$work/f1" ] && cmp -s "$work/f1" "$work/f2"; }
start() { env -i PATH="$PATH" HOME="$work" LC_ALL=C CI=true "$BIN" "$@" >"$work/bg.out" 2>"$work/bg.err" </dev/null & }

run run smoke --results whole --json
ok "a study runs" exits 0
ok "standard output is the summary" json_is .failed 0
ok "every cell ran" json_is .hits 0
run run smoke --results whole --json
ok "the same command again succeeds" exits 0
ok "the same command again runs nothing" json_is .ran 0

run version --json
if [ "$json" = jq ]; then
  commit=$(jq -r '.git_sha // "none"' "$out")
  run sql "SELECT coalesce(git_sha, 'none') AS sha FROM build" --results whole
  ok "the store knows the commit that the program was built from" out_has "$commit"
fi

run run smoke --results whole --set sample.steps=3 --json
ok "other sampling keeps the trainings" json_is .hits 3
run run smoke --results whole --json
ok "and the first study is still all there" json_is .ran 0

for kind in scatter paired cost losses; do
  run figure smoke --results whole --kind $kind --against rgb_rmse_base -o $kind.svg
  ok "figure --kind $kind draws" exits 0
  ok "figure --kind $kind says in words what it shows" grep -q '<desc>.*ours.*</desc>' $kind.svg
  ok "figure --kind $kind: the same words for the terminal" err_has 'ours'
  ok "figure --kind $kind: nothing on standard output" out_empty
done
run figure smoke --results whole --kind losses -o same.svg
ok "the same figure is the same bytes" cmp -s losses.svg same.svg
run figure smoke --results whole -o figure.gif
ok "an unknown ending is refused" exits 2
ok "and the endings are named" err_has 'svg, .pdf or .png'
run figure smoke --results whole --metric true_iou_gian -o figure.png
ok "an unknown metric is a usage error" exits 2
ok "with a suggestion" err_has "did you mean"
ok "nothing is written" test ! -e figure.png -a ! -e figure.gif
run figure smoke --results whole
ok "a figure wants a file" exits 2

run report smoke --results whole -o page.html
ok "a report is written" exits 0
ok "it holds the clips" test "$(grep -c 'src="data:image/webp' page.html)" -ge 3
ok "and figures with their words" grep -q 'alt="Paired differences.*ours' page.html
ok "and the table" grep -q '<th scope="col"[^>]*>true_iou_gain' page.html
ok "and asks nobody for anything" sh -c '! grep -Eq "(src|href)=.(http|//|[a-z]*\.)" page.html'
run report smoke --results whole -o again.html
ok "the same store is the same page" cmp -s page.html again.html
run report smoke --results whole --prompts 0 -o short.html
ok "a report without clips" test "$(grep -c 'data:image/webp' short.html)" -eq 0

if have_sqlite; then
  run run smoke --results first --jobs 1
  i=0
  while [ $i -lt 6 ]; do
    start run smoke --results killed --set train.checkpoint_every=1
    pid=$!
    sleep "0.$((i * 17 % 10))"
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    i=$((i + 1))
  done
  run run smoke --results killed
  ok "after kill -9, the same command ends the study" exits 0
  ok "and nothing differs from an uninterrupted run" same_facts first killed

  start run smoke --results stopped
  pid=$!
  sleep 0.4
  kill -INT $pid 2>/dev/null
  code=0
  wait $pid || code=$?
  ran="run, then SIGINT"
  ok "Ctrl-C ends with 130 (or the run was over)" test "$code" = 130 -o "$code" = 0
  run run smoke --results stopped
  ok "and the same command goes on" exits 0
  ok "to the same facts" same_facts first stopped

  start run smoke --results both
  pid=$!
  run run smoke --results both
  wait $pid
  ok "two runs of one study at once both succeed" exits 0
  ok "with the same facts" same_facts first both
  ok "and no cell ran twice" test "$(query both "SELECT count(*) FROM attempt WHERE state='done'")" = \
    "$(query both "SELECT count(*) FROM cell WHERE state='done'")"
else
  for name in "kill -9" "Ctrl-C" "two runs at once"; do skip "$name" "no sqlite3"; done
fi

run run smoke --results diverged --set train.lr=10 --set train.decay=10 --set train.steps=60
ok "a loss that is not finite fails its cells, not the study" exits 3
ok "with class and step" err_has 'nan_loss: step [0-9]+'
run run smoke --results diverged --set train.lr=10 --set train.decay=10 --set train.steps=60 --json
ok "failed cells are not tried again by themselves" json_is .ran 0
ok "and still count" exits 3

mkdir damaged && printf 'not a database, only some bytes that take its place' >damaged/store.db
run run smoke --results damaged
ok "a damaged store is exit 5" exits 5
ok "and says which file" err_has 'damaged'
mkdir blocked && : >blocked/objects
run run smoke --results blocked
ok "a store whose folder cannot be used is an error" test "$code" -ne 0

# A disk that is full, in the form a test can make: no file may grow beyond a limit.
for blocks in 40 600 1200; do
  code=0
  (
    trap '' XFSZ
    ulimit -f $blocks
    exec env -i PATH="$PATH" HOME="$work" LC_ALL=C CI=true "$BIN" run smoke --results "full$blocks" </dev/null
  ) >"$out" 2>"$err" || code=$?
  ran="run with files up to $blocks blocks"
  ok "a full disk ($blocks blocks) is an error" test "$code" = 3 -o "$code" = 5 -o "$code" = 1
  run run smoke --results "full$blocks" --retry
  ok "with room again ($blocks) the study ends" exits 0
  if have_sqlite; then ok "and nothing was half-written ($blocks)" same_facts first "full$blocks"; fi
done

run run smoke --results other --set train.stepps=3
ok "an unknown setting is a usage error" exits 2
ok "with a suggestion" err_has "did you mean 'train.steps'"
ok "and nothing was made" test ! -e other
run run no-such-study --results other
ok "an unknown study is a usage error" exits 2
cat >bad.json <<'EOF'
{
  "schema": 1,
  "study": "bad",
  "variants": {"ours": "seqence"},
  "reference_variant": "ours",
  "matrix": {"axes": {"variant": "*", "train_seed": [0], "sample_seed": [0], "prompt": "*"}},
  "prompts": {"list": [{"id": "a", "text": "solid red circle left plain"}]},
  "metrics": ["color_fit"]
}
EOF
run run bad.json --results other
ok "an unknown design is a usage error" exits 2
ok "with its place" err_has 'bad.json:4:'
ok "and a suggestion" err_has "did you mean 'sequence'"

finish
