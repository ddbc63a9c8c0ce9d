#!/bin/sh
# baseline, compare, gate: from a study's scores to exit codes; then the project's own gate.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ]; then
  skip "gates" "needs jq"
  finish
fi
RULES=$SOURCE/configs/gates/gate.json

run gate selftest gate
ok "selftest: the project's gate can go red" exits 0
ok "and says what it proved" out_has '^([0-9]+) of \1 claims hold: this gate can go red$'
ok "every rule" out_has 'rule 7 .*just beyond its level: worse, exit 1$'

run gate gate
ok "without a store is exit 5" exits 5
run run gate --quiet
ok "the study of the gate runs" exits 0
run version --json
isa=$(jq -r .isa "$out")
run gate gate --json
case $isa in
v3 | v4)
  ok "the project's gate is green on this machine ($isa)" exits 0
  ok "and judged everything" json_is '[.exit, .counts.worse, .counts.missing, .counts.unclear, .counts.same]' '[0,0,0,0,21]'
  ;;
*)
  ok "a machine of another class is told so" exits 4
  ok "in words" out_has 'host_class must be the same'
  skip "the project's gate" "its baseline is for x86-64-v3; this machine is $isa"
  finish
  ;;
esac

# --- baselines ---
run baseline save main gate --note "$(printf 'why "these"')"
ok "save succeeds" exits 0
run baseline save main gate
ok "save wants a note" exits 2
run baseline save 'a/b' gate --note x
ok "and a name" exits 2
run baseline save other smoke --note x
ok "of a study that the store has" exits 5
run baseline list --json
ok "list has it" json_is '[.[] | [.name, .study, .note]]' '[["main","gate","why \"these\""]]'
run baseline export main -o one.json
ok "export succeeds" exits 0
run baseline import one.json two
ok "import succeeds" exits 0
run baseline export two
ok "what comes back is the same but for its name" test "$(sed 's/"baseline": "two"/"baseline": "main"/' "$out" | cmp - one.json && echo same)" = same
run baseline show one.json
ok "show reads files" out_has '^rgb_rmse_base +1 +1 +64$'
run baseline rm two
ok "rm succeeds" exits 0
run baseline show two
ok "and it is gone" exits 5
ok "those that are there are named" err_has 'known: main'
run baseline frobnicate
ok "an unknown word is a usage error" exits 2

# --- gate against a name and against files ---
run gate gate "$RULES" --baseline main
ok "a name of the store does" exits 0
run gate "$RULES" --baseline one.json
ok "rules alone take the baseline's study" exits 0
run gate gate --baseline nowhere
ok "no such baseline is exit 5" exits 5
run gate gate --baseline nowhere.json
ok "no such file either" exits 5
echo '{"schema": 1}' >none.json
run gate gate --baseline none.json
ok "a file that is no baseline is exit 5" exits 5
ok "with its place" err_has 'none.json:1:1:'

# A baseline that was better: the gate goes red in every format.
jq '.metrics.color_fit_gain.values |= map(if .[4] | type == "number" then .[4] += 0.5 else . end)' one.json >better.json
run gate gate --baseline better.json
ok "a regression is exit 1" exits 1
ok "its headline comes first" test "$(head -n 1 "$out")" = "FAIL: 3 worse, 18 same"
ok "plain text" plain
run gate gate --baseline better.json --format md --junit gate.xml --github -o summary.md
ok "the same exit code in every format" exits 1
ok "Markdown begins with the verdict" grep -q '^\*\*FAIL: 3 worse, 18 same\*\*' summary.md
ok "three annotations with file and line" test "$(grep -c '^::error file=.*gates/gate.json,line=[0-9]*,col=[0-9]*,title=color_fit_gain worse::' "$out")" = 3
ok "JUnit counts failures" grep -q 'tests="21" failures="3" errors="0" skipped="0"' gate.xml
if have python3; then
  ok "and is XML" python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' gate.xml
else
  skip "and is XML" "python3 is not installed"
fi
run gate gate --baseline better.json --tap
ok "TAP has a point a check" test "$(grep -c '^not ok' "$out")" = 3
ok "and its plan" out_has '^1\.\.21$'
run gate gate --baseline better.json --json --github
ok "annotations may not spoil JSON" exits 2
run gate gate --baseline better.json --json
is_json "--json is JSON"
cp "$out" first.json
run gate gate --baseline better.json --json
ok "and the same bytes again" cmp -s "$out" first.json

jq 'del(.metrics.true_iou_gain.values[0, 1])' one.json >fewer.json
jq '.metrics.true_iou_gain.version = 2' one.json >newer.json
jq '.metrics.vanished = .metrics.true_iou_gain' one.json >more.json
run gate gate --baseline fewer.json
ok "more clips than the baseline is green, and said" exits 0
run gate gate --baseline newer.json
ok "another version is exit 4" exits 4
ok "in words" out_has 'the baseline has version 2'
run gate gate --baseline more.json
ok "a metric that vanished is exit 4" exits 4
ok "also one that no rule looks at" out_has '^missing +vanished'
jq '.facts.host_class = "x86-64-v2"' one.json >v2.json
run gate gate --baseline v2.json
ok "another class of machine is exit 4" exits 4

# --- mutes and rule files ---
jq '.mute = [{metric: "color_fit_gain", until: "2026-12-01", why: "known"}]' "$RULES" >muted.json
run gate gate muted.json --baseline better.json --today 2026-12-01
ok "a mute holds on its day" exits 0
run gate gate muted.json --baseline better.json --today 2026-12-02
ok "and not after it" exits 1
run gate gate muted.json --baseline better.json --today tomorrow
ok "--today is a day" exits 2
printf '{"schema": 1, "rules": [\n {"metric": "true_iou_gian", "max_drop": 1},\n {"metric": "true_iou", "max_drp": 1}]}\n' >bad.json
run gate gate bad.json --baseline one.json
ok "a bad rule file is exit 2" exits 2
ok "with every place" err_has '^bad.json:3:[0-9]+: error: key .max_drp. is not known; did you mean .max_drop.'
sed 's/max_drp/max_drop/' bad.json >typo.json
run gate gate typo.json --baseline one.json
ok "names are checked against what was measured" err_has '^typo.json:2:[0-9]+: error: metric .true_iou_gian. is not known; did you mean .true_iou_gain.'
ok "as exit 2" exits 2
run gate smoke
ok "a study without rules says so" err_has 'gate'
ok "as a usage error" exits 2

# Two prompts: no paired rule can go red, and selftest finds it.
run run smoke --quiet
run baseline save few smoke --note "two prompts"
printf '{"schema": 1, "rules": [{"metric": "color_fit_gain", "max_drop": "2%%"}]}\n' >paired.json
run gate selftest smoke paired.json --baseline few
ok "selftest fails when the gate could not go red" exits 1
ok "and says why" out_has '^FAIL .*after Holm'
run gate smoke paired.json --baseline few
ok "the gate itself says that n is too small" out_has 'n is too small: the smallest p'

# --- compare ---
run compare gate:batch ours --json
ok "compare succeeds" exits 0
ok "with the verdicts" json_is '[.checks[] | select(.metric == "rgb_rmse_base") | .verdict, .won, .lost, .pairs]' '["better",8,0,16]'
run compare gate:ours ours
ok "a variant against itself is the same" test "$(head -n 1 "$out")" = "4 same"
run compare gate:batch ours --metric rgb_rmse_base --margin 1 --format md
ok "within the margin is the same" out_has '^\*\*1 same\*\*'
run compare gate:batch ours --metric true_iou_gain,rgb_rmse_base --json
ok "--metric takes a list" json_is '[.checks[].metric]' '["true_iou_gain","rgb_rmse_base"]'
run compare gate:batch smoke:batch --metric color_fit_gain --json
ok "two studies pair by prompt and seeds" json_is '.checks[0].pairs' 4
run compare batch ours
ok "without a study is a usage error" exits 2
run compare gate:btach ours
ok "an unknown variant is one" exits 2
ok "and the known ones are named" err_has 'known: ours, batch, predict, base'
run compare gate:batch ours --metric nothing
ok "so is an unknown metric" exits 2

finish
