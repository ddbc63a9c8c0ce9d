#!/bin/sh
# Clips of another program as a variant of a study: found by name, checked, scored like the others.
# shellcheck source=tests/cli/_lib.sh
# shellcheck disable=SC2317  # helpers are called through ok
. "$(dirname "$0")/_lib.sh"
# shellcheck source=tests/cli/_frames.sh
. "$SOURCE/tests/cli/_frames.sh"

if [ "$json" != jq ]; then
  skip "external variants" "needs jq"
  finish
fi

# study NAME DESIGN [MORE]: ours, base and an external variant, on two prompts and two seeds.
study() {
  cat >"$1.json" <<END
{"schema": 1, "study": "$1", "extends": ["$SOURCE/configs/studies/smoke.json"],
  "variants": {"batch": null, "other": "$2"},
  "prompts": {"file": "$SOURCE/configs/prompts/world-32.jsonl"},
  "metrics": ["color_fit_gain", "alpha_coverage", "rgb_rmse_base"]${3:-}}
END
}
values() { # VARIANT: its scores as lines
  run sql --results store --json "SELECT prompt_id, sample_seed, metric, value, reason FROM v_score
    WHERE study='$study' AND variant='$1' ORDER BY 1, 2, 3"
  jq -c . "$out"
}
score_of() { # METRIC: of the external variant's clip in-01, seed 0, as "value reason"
  run sql --results store --json "SELECT value, reason FROM v_score WHERE study='$study' AND variant='other' AND
    metric='$1' AND prompt_id='in-01' AND sample_seed=0"
  jq -r '.[0] | "\(.value) \(.reason)"' "$out"
}

all_there() { jq -es 'flatten | length == 16 and all(.[]; .metric != "alpha_coverage" or .value > 0)' other.txt >all; }

run run smoke --results store --json
ok "a small study runs" exits 0
run sql --results store --json "SELECT sc.prompt_id AS p, sc.sample_seed AS s, r.rel_path AS f FROM study_cell sc
  JOIN cell c USING(key) JOIN attempt_artifact a ON a.attempt_id=c.done_attempt_id JOIN artifact r USING(sha256)
  WHERE c.stage='sample' AND variant='ours'"
mkdir -p clips/out-01
jq -r '.[] | "\(.p) \(.s) \(.f)"' "$out" | while read -r p s f; do
  if [ "$p" = in-01 ]; then cp "store/$f" "clips/${p}_$s.mkv"; else cp "store/$f" "clips/$p/$s.mkv"; fi
done
ok "its clips are at hand" test -s clips/in-01_0.mkv -a -s clips/in-01_1.mkv -a -s clips/out-01/0.mkv -a -s clips/out-01/1.mkv

study=copy
study copy external:dir=clips
run check copy.json --json
ok "a study with clips of another program is checked" exits 0
ok "they are samples, and train nothing" json_is '[.cells.train, .cells.sample, .cells.score]' '[1,12,12]'
ok "the design is named" json_is '.variants[] | select(.variant == "other") | .design' external
run plan copy.json --json
ok "plan measures nothing of what runs no model" json_is '[.costs[].design] | unique' '["base","ours"]'
run run copy.json --results store --json
ok "it runs" exits 0
ok "only the import and its scores are new" json_is '[.failed, .ran]' '[0,8]'
values ours >ours.txt
values other >other.txt
ok "a copy of ours has the scores of ours" cmp ours.txt other.txt
ok "which are there" all_there
run run copy.json --results store --json
ok "again it runs nothing" json_is .ran 0
run table copy.json --results store
ok "the table has the variant" out_has '^other +1x2x2 .* 0 \[0, 0\]'
run status copy.json --results store
ok "status counts its cells" exits 0
run sheet copy.json --results store --variant other -o sheet.png
ok "the contact sheet shows it" test -s sheet.png
run sql --results store --json "SELECT key FROM study_cell JOIN cell USING(key) WHERE variant='other' AND
  stage='sample' LIMIT 1"
key=$(jq -r '.[0].key' "$out")
run show "$key" --results store
ok "show knows a cell of it" out_has '"design":"external:colour=straight"'


cp clips/in-01_0.mkv kept.mkv
cp clips/out-01/1.mkv clips/in-01_0.mkv
run run copy.json --results store --json
ok "a changed file runs its own cells and the score it is partner in" json_is '[.failed, .ran]' '[0,3]'
values other >changed.txt
ok "and other scores come out" test "$(cat changed.txt)" != "$(cat other.txt)"
cp kept.mkv clips/in-01_0.mkv
run run copy.json --results store --json
ok "the file as it was runs nothing" json_is .ran 0

rm clips/in-01_1.mkv clips/out-01/0.mkv
run run copy.json --results elsewhere
ok "missing clips are an error" exits 2
ok "with the names they should have" err_has 'no clip .*clips/in-01_1\.\* or .*clips/in-01/1\.\*'
ok "all of them" err_has 'clips/out-01_0\.\*'
ok "and not those that are there" err_lacks 'in-01_0|out-01_1'
ok "and nothing was made" test ! -e elsewhere
study=less
study less external:dir=clips ', "matrix": {"axes": {"variant": "*", "train_seed": [0], "sample_seed": [0, 1], "prompt":
  ["in-01", "out-01"]}, "exclude": [{"variant": "other", "prompt": "in-01", "sample_seed": 1, "reason": "not sent"},
  {"variant": "other", "prompt": "out-01", "sample_seed": 0, "reason": "not sent"}]}'
run run less.json --results store --json
ok "what is excluded may be missing" json_is .failed 0
run table less.json --results store
ok "and is told with its reason" out_has 'not sent'

study=pictures
for p in in-01 out-01; do
  frames frames/${p}_0 8 48 48 51
  frames frames/$p/1 8 48 48 51
done
study pictures external:dir=frames
run run pictures.json --results store --json
ok "folders of numbered frames are clips" json_is .failed 0
ok "alpha is what the frames hold" test "$(score_of alpha_coverage | cut -c 1-8)" = 0.200000
ok "straight colour has no decoded picture" test "$(score_of rgb_rmse_base)" = "null straight_rgb"
study pictures external:dir=frames,colour=premultiplied
run run pictures.json --results store --json
ok "the convention is stated" test "$(score_of color_fit_gain)" = "null circular"
study pictures external:dir=frames,colour=decoded
run run pictures.json --results store --json
ok "and belongs to the key" json_is .failed 0
ok "decoded pictures are compared with the base" test "$(score_of rgb_rmse_base)" != "null straight_rgb"
rm -r frames/in-01_0
frames frames/in-01_0 8 48 48 51 65535
run run pictures.json --results store --json
ok "16 bits stay 16 bits" test "$(score_of alpha_coverage | cut -c 1-10)" = 0.19923704

wrong() { # NAME REGEX: the clip in-01, seed 0, fails alone
  run run pictures.json --results store
  ok "$1 fails" exits 3
  ok "$1 is told" err_has "$2"
  run run pictures.json --results store --json
  ok "$1 costs its own cells and the score it is partner in" json_is '[.failed, .blocked]' '[1,2]'
}
rm -r frames/in-01_0
frames frames/in-01_0 7 48 48 51
wrong "a clip with too few frames" 'in-01_0 has 7 frames of 48x48 .*study.* 8 of 48x48'
rm -r frames/in-01_0
frames frames/in-01_0 8 40 40 51
wrong "a clip of another size" 'in-01_0 has 8 frames of 40x40'
rm -r frames/in-01_0
frames frames/in-01_0 8 48 48 none
wrong "a clip without alpha" 'in-01_0.*alpha was lost'
rm -r frames/in-01_0
frames frames/in-01_0 8 48 48 51
rm frames/in-01_0/f0004.pam
run run pictures.json --results store
ok "a gap in the frames is an error" exits 2
ok "which counts what is missing" err_has '1 frames of the sequence f1.pam to f8.pam are missing'
study pictures external:dir=nowhere
run check pictures.json
ok "a folder that is not there is an error" exits 2
ok "and named once" test "$(grep -c nowhere "$err")" = 1
run forward --design external --config x --weights x --in x --out x
ok "forward has nothing to run" err_has 'runs no model'

finish
