#!/bin/sh
# tandem score on folders: frames, partners, truths, and clips at the edges of what a clip can be.
# shellcheck source=tests/cli/_lib.sh
# shellcheck disable=SC2317  # helpers are called through ok
. "$(dirname "$0")/_lib.sh"
# shellcheck source=tests/cli/_frames.sh
. "$SOURCE/tests/cli/_frames.sh"

# value CLIP METRIC: "value,reason" of the last run with --csv
value() { awk -F, -v c="$1" -v m="$2" '$1 == c && $2 == m { print $5 "," $6 }' "$out"; }
is() { [ "$(value "$1" "$2")" = "$3" ]; }
near() { # CLIP METRIC WANTED
  value "$1" "$2" | awk -F, -v w="$3" '{ d = $1 - w } END { exit !(NR == 1 && $1 != "" && d < 1e-6 && d > -1e-6) }'
}
clips() { [ "$(awk -F, 'NR > 1 && $1 != last { printf "%s ", $1; last = $1 }' "$out")" = "$1" ]; }

frames clips/walk 6 40 36 box
frames clips/two 2 40 36 box
frames clips/one 1 17 13 box
frames clips/odd 3 41 35 box
frames clips/deep 2 40 36 51 65535
frames clips/faint 3 40 36 1
frames clips/opaque 3 40 36 255
frames clips/bare 3 40 36 none
frames elsewhere 1 40 36 box
mv elsewhere/f0001.pam clips/still.pam
mkdir clips/papers
: >clips/papers/paper.txt
: >clips/notes.txt

run score clips --csv
ok "a folder of all sorts is scored" exits 0
ok "folders of frames are clips, in the order of their names" clips "bare deep faint odd one opaque still two walk "
ok "16 bits are read as such" near deep alpha_coverage 0.19923705
ok "an empty alpha has a reason" is faint color_fit ",straight_rgb"
ok "an empty alpha has a coverage" near faint alpha_coverage 0.00392157
ok "a clip without alpha has none" is bare alpha_coverage ",no_alpha"
ok "one frame has no motion" is one mean_flow ",too_few_frames"
ok "a picture is a clip of one frame" is still opacity_flicker ",too_few_frames"
cp "$out" one.csv
run score clips --csv --threads 1
ok "one thread gives the same bytes" cmp "$out" one.csv
run score clips --csv --threads 20
ok "and more threads than clips do" cmp "$out" one.csv
run score clips --csv --circular
ok "--circular scores an alpha with edges" test "$(value walk color_fit:picture=premultiplied | cut -c 1-2)" = 0.
ok "and leaves the empty one undefined" is faint color_fit:picture=premultiplied ",empty_alpha"
ok "and the opaque one" is opaque color_fit:picture=premultiplied ",opaque_alpha"

run score clips --json --circular
if [ "$json" = jq ]; then
  ok "every line is JSON" jq -e . "$out" >lines
  ok "a value has no reason, and no value has one" test "$(jq -c 'select((.value == null) != (.reason != null))' "$out")" = ""
  ok "all clips have all metrics" test "$(jq -r .clip "$out" | sort | uniq -c | awk '{ print $1 }' | sort -u | wc -l)" = 1
else
  skip "every line is JSON" "no jq"
fi
ok "no number is not one" out_lacks '(NaN|nan|inf)[,}]'

run score clips/walk --csv --metric alpha_coverage
ok "a folder of frames alone is pictures" clips "f0001 f0002 f0003 f0004 f0005 f0006 "
ok "and says how they would be one clip" err_has 'clips/walk/f%04d\.pam'
run score clips/walk/f%04d.pam --csv --metric alpha_coverage,mean_flow
ok "which they are then" near "f%04d" mean_flow "$(awk -F, '$1 == "walk" && $2 == "mean_flow" { print $5 }' one.csv)"
rm clips/walk/f0003.pam
run score clips --csv
ok "a gap in the frames is refused" exits 1
ok "and counted" err_has 'clips/walk: 1 frames of the sequence'
rm -r clips/walk

# Gains: the alpha on its own picture, less the alpha on the partner's.
frames rgb/a 3 40 36 none
frames rgb/b 3 40 36 none
frames alpha/a 3 40 36 box
frames alpha/b 3 40 36 box
frames other/a 3 40 36 none
frames shifted/x 5 40 36 none
for k in 1 2 3; do mv shifted/x/f000$((k + 2)).pam other/a/f000$k.pam; done
run score --rgb rgb --alpha alpha --partner other --csv
ok "pictures and mattes are paired by name" clips "a b "
ok "whoever has no partner is named" err_has '1 of 2 clips have no file of their name in --partner other: b'
ok "and has a reason" is b color_fit_gain ",no_partner"
ok "with partners there are gains" test "$(value a color_fit_gain)" != ""
gain=$(value a color_fit_gain | cut -d , -f 1)
own=$(value a color_fit | cut -d , -f 1)
run score --rgb other --alpha alpha --csv --metric color_fit
ok "the same alpha on the partner's picture is scored" clips "a "
across=$(value a color_fit | cut -d , -f 1)
ok "which are own less across" awk -v g="$gain" -v o="$own" -v a="$across" \
  'BEGIN { d = g - (o - a); exit !(g > 0.01 && d < 1e-9 && d > -1e-9) }'
run score --rgb rgb --alpha alpha --csv
ok "without partners there are none" out_lacks '_gain'

# Truths: RGBA clips, or mattes alone.
mkdir flat truth
frames pred/c 1 20 18 51
mv pred/c/f0001.pam flat/c.pam
gray truth/c.pgm 20 18 102
run score flat --truth truth --csv
ok "a file without alpha is a true matte" near c true_mad 0.2
ok "but no reference" is c rvm_fgr_mad ",no_reference"
frames pred/d 1 20 18 153
mkdir rgba && mv pred/d/f0001.pam rgba/c.pam
run score flat --truth rgba --csv
ok "a file with alpha is both" near c true_mad 0.4
ok "and a reference" test "$(value c rvm_fgr_mad | cut -d , -f 2)" != no_reference
gray truth/c.pgm 20 17 102
run score flat --truth truth --csv
ok "a truth of another size fails its clip" exits 1
ok "and is told" err_has 'c: .*20x17.*20x18'

mkdir -p matte/fgr matte/pha
frames pred/e 1 20 18 none
mv pred/e/f0001.pam matte/fgr/e.pam
gray matte/pha/e.pgm 20 18 204
run score matte --csv --metric alpha_coverage,color_fit
ok "fgr and pha need no captions" near e alpha_coverage 0.8
ok "their colour is straight" is e color_fit ",straight_rgb"

finish
