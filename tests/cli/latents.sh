#!/bin/sh
# What only sampling and the VAE know: alpha's three channels, and distances of latents.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ] || ! have sqlite3; then
  skip "latents" "needs jq and sqlite3"
  finish
fi
vae=$SOURCE/configs/models/tiny-vae.json
query() { sqlite3 -batch -noheader s/store.db "$1"; }
says() { [ "$(query "$1")" = "$2" ] || { echo "# got $(query "$1"), wanted $2" && false; }; }
# study NAME ALPHA: one design with exchange, one without, and the base model; a prompt, two seeds.
study() {
  cat >"$1.json" <<END
{"schema": 1, "study": "$1", "extends": ["$SOURCE/configs/studies/smoke.json"], "base": {"output": {"alpha": "$2"}},
 "matrix": {"axes": {"variant": "*", "train_seed": [0], "sample_seed": [0, 1], "prompt": ["in-01"]}},
 "primary": [], "metrics": ["alpha_chroma", "alpha_coverage", "latent_rmse_base", "rgb_rmse_base"]}
END
}
of() { echo "FROM v_score WHERE study = '$1' AND variant = '$2' AND metric = '$3' AND sample_seed = 0"; }

study mean mean
run run mean.json --results s --json
ok "a study of both runs" json_is '[.failed, .unanswered]' '[0,0]'
ok "the base model has no alpha" says "SELECT reason $(of mean base alpha_chroma)" no_alpha
ok "sampled alphas have a spread, each its own" says "SELECT count(DISTINCT value), min(value) > 0, max(value) < 1
  FROM v_score WHERE variant <> 'base' AND metric = 'alpha_chroma'" '4|1|1'
ok "a picture that is left alone has latents exactly 0 apart" says "SELECT count(*), min(value), max(value)
  FROM v_score WHERE variant IN ('batch', 'base') AND metric = 'latent_rmse_base'" '4|0.0|0.0'
ok "another picture has not" says "SELECT min(value) > 0.001 FROM v_score WHERE variant = 'ours' AND metric = 'latent_rmse_base'" 1
ok "the VAE is an input of scores that read latents" says "SELECT DISTINCT count(*) FROM cell_input i
  JOIN cell c USING(key) WHERE i.role = 'vae' AND c.stage = 'score' GROUP BY key" 1

# The largest of three values lies between a third and two thirds of their spread above their mean.
study largest max
run run largest.json --results s --json
ok "the largest channel may be alpha" json_is '[.failed, .unanswered]' '[0,0]'
chroma=$(query "SELECT value $(of mean ours alpha_chroma)")
ok "which channel becomes alpha does not change the spread" says \
  "SELECT (SELECT value $(of mean ours alpha_chroma)) = (SELECT value $(of largest ours alpha_chroma))" 1
rise="(SELECT value $(of largest ours alpha_coverage)) - (SELECT value $(of mean ours alpha_coverage))"
ok "the spread is that of the channels" says \
  "SELECT $rise > $chroma / 3 - 0.004 AND $rise < 2 * $chroma / 3 + 0.004 AND $rise > 0.001" 1

# --- the same clips without a study ---
file() {
  echo "s/$(query "SELECT f.rel_path FROM study_cell sc JOIN cell c USING(key)
    JOIN attempt_artifact a ON a.attempt_id = c.done_attempt_id JOIN artifact f USING(sha256)
    WHERE c.stage = 'sample' AND sc.variant = '$1' AND sc.sample_seed = 0 AND a.role = 'clip' LIMIT 1")"
}
mkdir own base
cp "$(file ours)" own/a.mkv
cp "$(file base)" base/a.mkv
run score own --against base --vae "$vae" --metric alpha_chroma,latent_rmse_base --json
scored() { jq -r "select(.metric == \"$1\").value" "$out"; }
ok "score has the study's values" says "SELECT abs((SELECT value $(of mean ours alpha_chroma)) - $(scored alpha_chroma)) < 1e-14,
  abs((SELECT value $(of mean ours latent_rmse_base)) - $(scored latent_rmse_base)) < 1e-14" '1|1'
run score own --against base --metric latent_rmse_base --json
ok "without a VAE there is a reason" json_is '[.value, .reason]' '[null,"no_latents"]'
run score own --against base --tier 1 --json
ok "and it is not asked for by tier" out_lacks latent_rmse_base
run score own --against base --vae "$vae" --tier 1 --json
ok "with one it is" out_has '"metric":"latent_rmse_base",.*"value":[0-9.]'
run score own --vae own/a.mkv
ok "what is no VAE is refused" exits 1
run score --rgb own/a.mkv --alpha own/a.mkv --metric alpha_chroma --json
ok "an alpha laid beside another picture does not say either" json_is '[.value, .reason]' '[null,"no_channels"]'
run score "$SOURCE/tests/golden/media/vp9-alpha.webm" --metric alpha_chroma --json
ok "a clip of another program does not say" json_is '[.value, .reason]' '[null,"no_channels"]'
finish
