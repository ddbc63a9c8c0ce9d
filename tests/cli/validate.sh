#!/bin/sh
# metrics validate: planted defects and agreement with the truth.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ]; then
  skip "validation" "needs jq"
  finish
fi

few=color_fit,alpha_coverage,opacity_flicker,rgb_rmse_base,true_iou
run metrics validate --clips 1 --metric $few --json --threads 1
ok "validate succeeds" exits 0
is_json "--json is JSON"
cp "$out" one
ok "a clip of each kind" json_is '[.clips[].set]' '["world","moving"]'
ok "every defect has growing strengths" json_is \
  '[.defects[] | (.strengths | length >= 3) and (.strengths == (.strengths | unique))] | all' true
ok "every metric has every defect" json_is \
  '[.metrics[].defects | keys | length] == ([.defects | length] | [.[0], .[0], .[0], .[0], .[0]])' true
ok "the verdicts are all the clips" json_is \
  '[.metrics[].defects[] | .ordered + .by_gate + .tied + .wrong + .undefined == .clips] | all' true
ok "and so are the sets" json_is '[.metrics[].defects[] | ([.sets[].clips] | add) == .clips] | all' true
ok "noise is ordered by color_fit" json_is \
  '.metrics[] | select(.metric == "color_fit") | .defects.noise | [.ordered, .clips]' '[2,2]'
ok "half is its blind spot" json_is '.metrics[] | select(.metric == "color_fit") | .defects.half.tied' 2
ok "a metric of the picture orders nothing" json_is \
  '[.metrics[] | select(.metric == "rgb_rmse_base") | .defects[] | .ordered + .by_gate] | add' 0
ok "the truth orders everything" json_is \
  '[.metrics[] | select(.metric == "true_iou") | .defects[] | .ordered == .clips] | all' true
ok "but is not primary" json_is '[.metrics[] | select(.primary) | .metric]' \
  '["color_fit","opacity_flicker","rgb_rmse_base"]'
ok "the best of noise is a primary metric" json_is '.defects[] | select(.defect == "noise") | .best' color_fit
ok "half has none" json_is '.defects[] | select(.defect == "half") | .best' null
ok "which is said" err_has '^defect half: no primary metric'
ok "a mean a step" json_is '[.metrics[].defects.shift.mean | length] | unique' '[4]'

run metrics validate --clips 1 --metric $few --json --threads 3
ok "threads do not matter" cmp -s "$out" one
run metrics validate --clips 1 --metric $few --json --seed 2
ok "the seed does" test "$(cmp -s "$out" one && echo same)" = ""
run metrics validate --clips 1 --metric $few --json --strict -q
ok "--strict is exit 1 when a defect has no metric" exits 1
ok "and prints all the same" cmp -s "$out" one
run metrics validate --clips 1 --metric fd_full:window=9,levels=2,color_fit_gain --json
ok "parameters and gains are metrics" json_is '[.metrics[].metric]' '["fd_full:levels=2,window=9","color_fit_gain"]'

run metrics validate --clips 1 --metric $few --markdown
ok "--markdown succeeds" exits 0
ok "it says how it was made" out_has '^    tandem metrics validate --clips 1 --metric .* --markdown$'
ok "it has the defects" out_has '^\| noise \|.*\| color_fit \|'
ok "and the metrics" out_has '^\| opacity_flicker \| 0 \| down \|'
ok "every row of a table has its columns" test "$(grep '^|' "$out" | awk -F'|' '{print NF}' | sort -u | wc -l)" = 2
ok "it is plain text" plain
ok "it counts what is ordered" out_has '^[0-9]+ of 15 defects are ordered by a primary metric: [0-9]+ by one that reads'

run metrics validate --clips 2 --seed 7 --metric color_fit,alpha_contrast,alpha_haze,color_fit:r=2 --json
ok "affine mixes have a metric" json_is \
  '[.defects[] | select(.defect | IN("opaque","empty","half","constant")) | .best] | unique' '["alpha_contrast"]'
ok "a copy of the luma is seen" json_is \
  '.metrics[] | select(.metric == "alpha_haze") | .defects.luma | [.ordered, .clips]' '[4,4]'
ok "noise is left to one that reads the picture" json_is '.defects[] | select(.defect == "noise") | .best' color_fit
run metrics validate --clips 2 --seed 7 --metric color_fit,alpha_contrast --markdown
ok "the page says what alpha alone orders, and by which gate" \
  out_has '^\| empty .* alpha_contrast \(alpha alone\) \| 2/2 \(2 by gate\) \| 2/2 \(2 by gate\) \|'

run metrics validate --clips 1 --metric $few -o page
ok "the text for people goes to -o" grep -q '^Moved by no defect: rgb_rmse_base' page

# Clips of a study, and files.
run run smoke --quiet
ok "a study runs" exits 0
clip=$(find results/local/objects -type f -size +1k -exec sh -c 'head -c 4 "$1" | od -An -tx1 | grep -q "1a 45 df a3" && echo "$1"' _ {} \; | sort | head -n 1)
mkdir clips
cp "$clip" clips/b.mkv
cp "$clip" clips/a.mkv
run metrics validate clips --clips 0 --metric alpha_coverage,true_iou --json
ok "a folder succeeds" exits 0
ok "its clips are named in order" json_is '[.clips[] | [.clip, .set, .height]]' '[["a","given",48],["b","given",48]]'
run metrics validate clips/a.mkv clips/b.mkv --clips 0 --metric alpha_coverage,true_iou --json
ok "so do files" json_is '[.clips[].clip]' '["a","b"]'

run metrics validate --clips 0 --study smoke --metric color_fit,edge_color --replicates 50 --json --threads 1
ok "--study succeeds" exits 0
cp "$out" study
ok "it has the study's clips" json_is '.agreement | [.study, .clips, .designs, .prompts]' '["smoke",12,3,2]'
ok "three rows a score" json_is '[.agreement.rows[] | [.score, .truth]]' \
  '[["color_fit","true_iou"],["color_fit","true_corr"],["color_fit_gain","true_iou_gain"],["edge_color","true_iou"],["edge_color","true_corr"],["edge_color_gain","true_iou_gain"]]'
ok "coefficients are coefficients" json_is \
  '[.agreement.rows[] | .spearman[], .pearson[] | select(.n > 0) | .value | . >= -1 and . <= 1] | length > 5 and all' true
ok "the base model's clips have no alpha" json_is '[.agreement.rows[].points | . <= 8 and . >= 3] | all' true
run metrics validate --clips 0 --study smoke --metric color_fit,edge_color --replicates 50 --json --threads 2
ok "threads do not matter" cmp -s "$out" study
run metrics validate --clips 0 --study smoke --metric color_fit --replicates 50
ok "it is a table" out_has '^color_fit_gain +true_iou_gain'

# What cannot be.
run metrics validate --metric no_such
ok "an unknown metric is a usage error" exits 2
ok "and is named" err_has 'no_such'
run metrics validate --metric ,
ok "no metric is a usage error" exits 2
run metrics validate --clips 0
ok "nothing to validate on is a usage error" exits 2
run metrics validate --clips -1
ok "a negative number is a usage error" exits 2
run metrics validate --json --markdown
ok "--json and --markdown exclude each other" exits 2
run metrics validate nowhere.mkv --metric alpha_coverage
ok "a file that is not there is an error" exits 1
ok "and is named" err_has 'nowhere.mkv'
echo text >not.mkv
run metrics validate not.mkv --metric alpha_coverage
ok "a file that is no clip is an error" exits 1
ok "nothing is printed then" out_empty
run metrics validate --clips 0 --study nowhere --metric color_fit
ok "an unknown study is exit 5" exits 5
run metrics validate --clips 0 --study smoke --results nowhere --metric color_fit
ok "a store that is not there is exit 5" exits 5
ok "and is not made" test ! -e nowhere
run metrics validate --clips 0 --study smoke --metric alpha_coverage
ok "a study without an alignment score is a usage error" exits 2
run metrics --strict
ok "its options are its own" exits 2
finish
