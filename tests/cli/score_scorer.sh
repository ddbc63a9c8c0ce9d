#!/bin/sh
# External scorers on loose clips: the protocol of studies, whatever the program does.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if [ "$json" != jq ]; then
  skip "scorers of loose clips" "needs jq"
  finish
fi
fake=$SOURCE/tests/support/fake_scorer.sh
mkdir clips clips/1 clips/2 clips/3
for k in 1 2 3; do
  for t in 01 02; do
    { printf 'P6\n12 10\n255\n' && head -c 360 /dev/zero | tr '\0' "$k"; } >"clips/$k/$t.ppm"
  done
done
# rows FILTER: of the last --json, as one line
rows() { jq -sc "$1" "$out"; }
is() { [ "$(rows "$1")" = "$2" ] || { echo "# got $(rows "$1"), wanted $2" && false; }; }
measures='[.[] | select(.metric | startswith("fake/")) | [.clip, .metric, .value, .reason]]'

run score clips --metric alpha_coverage,mean_flow --scorer "$fake good" --json
ok "a scorer stands beside the metrics" exits 0
ok "its measures are NAME/MEASURE, clip by clip" is '[.[] | .clip + " " + .metric]' \
  '["1 alpha_coverage","1 mean_flow","1 fake/ink","1 fake/edge","2 alpha_coverage","2 mean_flow","2 fake/ink","2 fake/edge","3 alpha_coverage","3 mean_flow","3 fake/ink","3 fake/edge"]'
ok "with the card's definition" is '.[2] | [.id, .version, .value, .reason, .n, .unit, .direction, .picture]' \
  '["fake/ink",1,0.25,null,1,"share","up","decoded"]'
ok "a measure of alpha is undefined without alpha" is '.[3] | [.value, .reason]' '[null,"no_alpha"]'
cp "$out" one
run score clips --metric alpha_coverage,mean_flow --scorer "$fake good" --json --threads 1
ok "threads change nothing" cmp -s "$out" one
run score clips --metric alpha_coverage --scorer "$fake good"
ok "a table has it" out_has '^fake/ink +0.25 +share +up'
run score clips --metric alpha_coverage --scorer "$fake good" --csv
ok "so has CSV" out_has '^2,fake/ink,fake/ink,1,0.25,,1,share,up,decoded,0$'
run score clips --scorer "$fake good" --scorer "$fake good id=twin" --json
ok "several scorers, with the metrics of the tiers" is '[.[] | select(.clip == "2" and (.metric | contains("/"))) | .metric]' \
  '["fake/ink","fake/edge","twin/ink","twin/edge"]'
ok "the metrics are there" is '[.[] | select(.metric == "mean_flow")] | length' 3
run score clips --scorer "$fake good" --scorer "$fake good" --json
ok "two of one name are refused" err_has 'both called fake'
ok "before anything is printed" out_empty
run score clips --metric alpha_coverage --scorer "$fake raw bad=1" --json
ok "it reads the clip's bytes" is '.[1].value == 9.6e-7' true
cat >"keep it.sh" <<END
#!/bin/sh
[ "\$1" = --describe ] && exec "$fake" good --describe
tee "$work/asked" | "$fake" good
END
chmod +x "keep it.sh"
run score clips/3 --metric mean_flow --scorer "$work/keep it.sh" --json
ok "blanks may be part of a program's name" is '[.[] | select(.metric == "fake/ink") | .value] | unique' '[0.25]'
ok "the request says what is known" [ "$(jq -c '[.colour, .alpha, .frames, .height, .width, .prompt, .base]' asked)" = \
  '["decoded",false,1,10,12,null,null]
["decoded",false,1,10,12,null,null]' ]
ok "nothing is left of the clips" [ ! -e "$(jq -r '.clip' asked | head -n 1 | xargs dirname)" ]

# --- whatever it does ---
# mode, ink of the second clip, ink of the third, limits
after() {
  run score clips --metric mean_flow --scorer "$fake $1 bad=2" --json --scorer-timeout "${4:-20}"
  ok "$1 is a reason" is "[.[] | select(.metric == \"fake/ink\") | .value // .reason]" "[0.25,\"$2\",$3]"
  ok "the metrics of $1 are all there" is '[.[] | select(.metric == "mean_flow") | .reason] | length' 3
  ok "$1 ends well" exits 0
}
after die scorer_died 0.25
after kill scorer_died 0.25
after garbage scorer_garbage 0.25
after flood scorer_flood 0.25
after hang scorer_timeout 0.25 0.4
after missing scorer_missing 0.25
after nan scorer_not_finite 0.25
after twice scorer_duplicate 0.25
after range scorer_range 0.25
run score clips --metric mean_flow --scorer "$fake die bad=2" --json
ok "a failure is told" err_has '^tandem.*2: fake: the program ended'
run score clips --metric mean_flow --scorer "$fake start-die" --json
ok "one that dies at once is given up" is '[.[] | select(.metric == "fake/ink") | .reason] | unique' '["scorer_died"]'
run score clips --metric mean_flow --scorer "$fake describe-die"
ok "one that cannot describe itself is an error" exits 1
ok "with its words" err_has 'no such model'
run score clips --scorer ./none.sh
ok "a missing program is named" err_has 'none.sh'
run score --features a.npy --against-features a.npy --set kid --scorer "$fake good"
ok "features have no clips to ask about" err_has 'scorer is asked about clips'

# --- what stands beside ---
run score clips --metric mean_flow --scorer "$fake base" --json
ok "one that wants the base model's clip needs --against" is "$measures | map(.[3]) | unique" '["no_base"]'
run score clips --against clips --metric mean_flow --scorer "$fake base" --json
ok "and has it then" is '[.[] | select(.metric == "fake/ink") | .value] | unique' '[0.25]'
run score "$SOURCE/tests/golden/media/vp9-alpha.webm" --metric alpha_coverage --scorer "$fake good" --json
ok "a straight file has no decoded picture" is '.[1].reason' '"straight_rgb"'
run score "$SOURCE/tests/golden/media/vp9-alpha.webm" --colour decoded --metric alpha_coverage --scorer "$fake good" --json
ok "--colour says that it has" is '[.[1].value, .[2].value, .[2].n]' '[0.25,3,7]'
: >clips/4.png
run score clips --metric mean_flow --scorer "$fake good" --json
ok "a damaged clip is an exit status" exits 1
ok "it is named once" [ "$(grep -c "^tandem.*4: " "$err")" = 1 ]
ok "the others are asked about" is '[.[] | select(.metric == "fake/ink") | .clip] | length' 3
finish
