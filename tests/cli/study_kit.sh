#!/bin/sh
# tandem study-kit: from a study's clips to a questionnaire, packets, and what they say.
# shellcheck source=tests/cli/_lib.sh
# shellcheck disable=SC2317  # helpers are called through ok
. "$(dirname "$0")/_lib.sh"

cat >kitted.json <<'JSON'
{
  "schema": 1,
  "study": "kitted",
  "base": {
    "data": {"kind": "world", "set": "narrow", "seed": 2, "clips": 8},
    "train": {"steps": 4, "batch": 2, "lr": 4e-3, "warmup": 1, "rank": 4, "gamma": 2},
    "sample": {"sampler": "ddim", "steps": 2, "guidance": 3}
  },
  "variants": {"ours-hidden": "ours", "batch-hidden": "batch:exchange=none", "plain-hidden": "base"},
  "reference_variant": "ours-hidden",
  "matrix": {
    "axes": {"variant": "*", "train_seed": [0], "sample_seed": [0, 1], "prompt": ["in-01", "in-02", "out-01", "out-02"]}
  },
  "prompts": {"file": "PROMPTS"},
  "metrics": ["color_fit_gain", "rgb_rmse_base", "alpha_coverage"]
}
JSON
sed "s|PROMPTS|$SOURCE/configs/prompts/world-32.jsonl|" kitted.json >k && mv k kitted.json

# packets KEY SQL OUT [turned]: answers of every participant, who prefers the variant with the higher value in the file
# SQL (variant,prompt,value) and never the broken clip. The key has a participant a line.
packets() {
  awk -v scores="$2" -v to="$3" -v turned="${4:-0}" '
    function names(s, list,   n, i) {
      n = split(s, list, "\"")
      for (i = 2; i <= n; i += 2) list[i / 2 - 1] = list[i]
    }
    BEGIN { while ((getline line < scores) > 0) { split(line, f, ","); value[f[1], f[2]] = f[3] } }
    /"kit":/ { split($0, f, "\""); kit = f[4] }
    /"variants":/ { sub(/.*\[/, ""); names($0, variant) }
    /^    \{"id": / && !questions { split($0, f, "\""); prompt[prompts++] = f[4] }
    /"metrics":/ { questions = 1 }
    /"participants":/ { people = 1; next }
    people && /^    \[/ {
      who++
      gsub(/[^-0-9,]/, "")
      sub(/,$/, "")
      n = split($0, t, ",") / 3
      file = to who ".json"
      printf "{\"format\":\"tandem-votes\",\"version\":1,\"kit\":\"%s\",\"participant\":%d,\"answers\":[", kit, who >file
      for (q = 0; q < 2; q++)
        for (i = 0; i < n; i++) {
          p = prompt[t[3 * i + 1]]; l = t[3 * i + 2]; r = t[3 * i + 3]
          left = l < 0 ? 0 : r < 0 ? 1 : (value[variant[l], p] + 0 > value[variant[r], p] + 0) != turned
          printf "%s{\"trial\":%d,\"question\":%d,\"choice\":\"%s\",\"ms\":9}", i + q ? "," : "", i, q,
            left ? "left" : "right" >file
        }
      print "]}" >file
      close(file)
    }' "$1"
}

same() { cmp -s "$1" "$2"; }
differ() { ! cmp -s "$1" "$2"; }
lacks() { ! grep -qF -- "$2" "$1"; }
mode_is() { [ "$(stat -c %a "$1")" = "$2" ]; }
key() { sed -n 's/^  "kit": "\(.*\)",/\1/p' "$1/key.json"; }

run study-kit export kitted.json --results store -o kit
ok "without a store there is nothing to show" exits 5
run run kitted.json --results store
ok "the study runs" exits 0
run study-kit export kitted.json --results store -o kit --prompts 3 --json
ok "export succeeds" exits 0
ok "3 variants, 3 prompts, 4 votes: 36 comparisons" json_is .comparisons 36
ok "of the motion question, pairs with a frozen picture are counted" json_is .identical 3
ok "the key is its owner's alone" mode_is kit/key.json 600
for name in ours-hidden batch-hidden plain-hidden kitted in-01 out-01 "$work" color_fit; do
  ok "the page does not say '$name'" lacks kit/questionnaire.html "$name"
done
ok "the page says which kit it is" grep -qF "$(key kit)" kit/questionnaire.html
ok "the page loads nothing from anywhere" lacks kit/questionnaire.html "://"
if have xmllint; then
  ok "the page is well-formed" xmllint --noout kit/questionnaire.html
else
  skip "the page is well-formed" "no xmllint"
fi
run study-kit export kitted.json --results store -o again --prompts 3
ok "the same command" same kit/questionnaire.html again/questionnaire.html
ok "gives the same bytes" same kit/key.json again/key.json
run study-kit export kitted.json --results store -o other --prompts 3 --seed 1
ok "another seed gives another page" differ kit/questionnaire.html other/questionnaire.html
run study-kit export kitted.json --results store -o kit --prompts 3 --seed 1
ok "a key is not overwritten" exits 2
ok "and the reason is said" err_has 'belongs to another questionnaire'
ok "and it is still there" same kit/key.json again/key.json
run study-kit export kitted.json --results store -o few --variants ours-hidden,nobody
ok "an unknown variant is named" err_has "no variant 'nobody'"
run study-kit export kitted.json --results store -o few --variants ours-hidden
ok "one variant is no comparison" exits 2
run study-kit export kitted.json --results store -o few --votes-per-pair 4 --participants 3
ok "more votes than people are refused" exits 2
ok "and nothing was written" test ! -e few
run study-kit export kitted.json --results store -o lossy --prompts 3 --quality 20 --ties
ok "a lossy page is made" exits 0
printf '{"questions": [{"id": "glass", "text": "Which <glass> & why?", "views": ["plate"]}]}' >q.json
run study-kit export kitted.json --results store -o asked --questions q.json --checks 0
ok "other questions" exits 0
ok "are in the page, escaped" grep -qF 'Which \u003cglass\u003e \u0026 why?' asked/questionnaire.html

# Voters who follow a metric: the report must find that out, whichever side, order and name came first.
run sql --results store --csv "SELECT variant, prompt_id, value FROM v_score
  WHERE metric = 'color_fit_gain' AND sample_seed = 0 AND value IS NOT NULL"
cp "$out" scores.csv
run study-kit export kitted.json --results store -o pair --variants batch-hidden,ours-hidden --prompts 0
packets pair/key.json scores.csv fan
run study-kit import pair/key.json fan*.json --json
ok "good packets are accepted" exits 0
ok "all of them" json_is '.rejected == 0 and .accepted >= 4' true
ok "votes are their owner's alone" mode_is pair/votes.json 600
run study-kit report pair/key.json --results store --json
ok "the report is made" exits 0
ok "votes follow the metric" json_is '[.facts[] | select(.kind == "metric_spearman" and .metric == "color_fit_gain")
  | .value > 0.8 and .n == 4] == [true, true]' true
ok "a metric without a better side is not compared" json_is '[.facts[] | select(.metric == "alpha_coverage")]' '[]'
mkdir turned && cp pair/key.json turned && packets pair/key.json scores.csv foe 1
run study-kit import turned/key.json foe*.json
run study-kit report turned/key.json --results store --json
ok "contrary votes are found contrary" json_is '[.facts[] | select(.kind == "metric_spearman" and
  .metric == "color_fit_gain") | .value < -0.8] == [true, true]' true
run study-kit report turned/key.json --results nowhere
ok "without a store the report has no metrics" out_has 'agreement of metrics with the votes: none'
for format in terminal md csv json; do
  run study-kit report pair/key.json --results store --format $format
  ok "$format succeeds" exits 0
  ok "$format names the variants" out_has 'batch.?-hidden'
  cp "$out" first
  run study-kit report pair/key.json --results store --format $format
  ok "$format is the same again" same "$out" first
done

run study-kit import pair/key.json fan*.json --json
ok "the same packets again change nothing" json_is '.accepted == 0 and .rejected == 0 and .known >= 4' true
printf '{"format": "tandem-votes"' >broken.json
sed 's/"kit":"./"kit":"x/' fan1.json >foreign.json
sed 's/"ms":9/"ms":10/' fan1.json >second.json
run study-kit import pair/key.json broken.json foreign.json second.json --json
ok "bad packets are exit 1" exits 1
ok "with reasons" json_is '[.packets[].verdict]' '["not_json","foreign","second_packet"]'
run study-kit report pair/key.json --results store --json
ok "and counted" json_is '[.facts[] | select(.kind == "packets" and .n == 1) | .metric]' \
  '["not_json","foreign","second_packet"]'

sed 's/"out-02"/"out-02", "in-03"/' kitted.json >wider.json
run study-kit export wider.json --results store -o wider --prompts 0 --json
ok "a prompt without clips is left out and counted" json_is '[.prompts, .prompts_missing]' '[4,1]'
packets wider/key.json scores.csv wide
run study-kit import wider/key.json wide*.json
run study-kit report wider/key.json --results store
ok "scores of another version of the study are not mixed in" out_has 'none, the study was changed since'
sed 's/"plain-hidden": "base"/"plain-hidden": "base", "new-hidden": "latent"/' kitted.json >newer.json
run study-kit export newer.json --results store -o newer --variants ours-hidden,new-hidden
ok "a variant that never ran has nothing to show" err_has 'no prompt has a clip of every variant'
run study-kit report again/key.json
ok "a report without votes is refused" exits 2
run study-kit import kitted.json fan1.json
ok "a study is no key" err_has 'no key of a user study'
run study-kit import pair/key.json nowhere.json
ok "a packet that is not there is an error" exits 1
run study-kit count pair/key.json
ok "an unknown part is a usage error" exits 2
run study-kit export kitted.json --results store
ok "export wants a folder" err_has 'name it with -o DIR'

finish
