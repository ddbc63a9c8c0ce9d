#!/bin/sh
# Scoring clips of any program, and the list of metrics.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"
media=$SOURCE/tests/golden/media

# picture FILE: a binary PPM of 40x36 pixels with a bright square; matte FILE LEFT: a PGM of the square, LEFT pixels in.
picture() {
  {
    printf 'P6\n40 36\n255\n'
    LC_ALL=C awk 'BEGIN { for (y = 0; y < 36; y++) for (x = 0; x < 40; x++) { s = x >= 10 && x < 26 && y >= 8 && y < 26
      printf "%c%c%c", s ? 200 : 40 + (x * 7 + y * 3) % 50, s ? 120 : 60, s ? 70 : 90 } }'
  } >"$1"
}
matte() {
  {
    printf 'P5\n40 36\n255\n'
    LC_ALL=C awk -v l="$2" 'BEGIN { for (y = 0; y < 36; y++) for (x = 0; x < 40; x++)
      printf "%c", (x >= l && x < l + 16 && y >= 8 && y < 26) ? 120 : 1 }'
  } >"$1"
}

run metrics
ok "metrics lists the metrics" out_has '^edge_corr +1 +up .*decoded .*yes'
run metrics --json
ok "metrics --json succeeds" exits 0
is_json "metrics --json is JSON"
run metrics show color_fit
ok "metrics show prints parameters" out_has '^- .ridge. = 0.0001'
ok "metrics show explains the reasons" out_has '^flat_alpha: alpha is constant'
run metrics show colour_fit
ok "an unknown metric is a usage error" exits 2
ok "a near metric is offered" err_has "did you mean 'color_fit'"
run metrics shwo color_fit
ok "an unknown subcommand is refused" exits 2

run score
ok "score without clips is a usage error" exits 2
run score none.mkv
ok "a missing file fails" exits 1
ok "a missing file is named" err_has 'none'
ok "a missing file prints no data" out_empty

run score "$media/vp9-alpha.webm" --json
ok "a foreign RGBA clip is scored" exits 0
ok "an alignment score has no decoded picture there" out_has '"metric":"color_fit",.*"value":null,"reason":"straight_rgb"'
ok "alpha is scored" out_has '"metric":"alpha_coverage",.*"value":[0-9.]+,"reason":null'
ok "no NaN in the output" out_lacks '[Nn]a[Nn]|[Ii]nf[^o]'
run score "$media/vp9-alpha.webm" --json --circular --metric color_fit,edge_corr:sigma=2
ok "--circular scores it and says so" out_has '"metric":"color_fit:picture=premultiplied","id":"color_fit".*"circular":true'
ok "parameters stay with their metric" out_has '"metric":"edge_corr:picture=premultiplied,sigma=2"'
run score "$media/vp9-alpha.webm" --colour decoded --metric color_fit --json
ok "--colour says what an untagged file means" out_has '"picture":"decoded","circular":false'
ok "and so it has a decoded picture" out_has '"value":[0-9.]+,"reason":null'
run score "$media/vp9-alpha.webm" --metric nonsense
ok "an unknown metric stops before anything is read" exits 2

mkdir rgb alpha worse
for k in a b c; do
  picture "rgb/$k.ppm"
  matte "alpha/$k.pgm" 10
  matte "worse/$k.pgm" 14
done
run score --rgb rgb/a.ppm --alpha alpha/a.pgm --metric color_fit,edge_color --json
ok "a picture and a matte are scored" exits 0
ok "their picture is the decoded one" out_has '"metric":"color_fit",.*"picture":"decoded","circular":false'
right=$(sed -n 's/.*"metric":"edge_color".*"value":\([0-9.-]*\).*/\1/p' "$out")
run score --rgb rgb/a.ppm --alpha worse/a.pgm --metric edge_color --json
wrong=$(sed -n 's/.*"metric":"edge_color".*"value":\([0-9.-]*\).*/\1/p' "$out")
ok "a shifted matte scores lower" awk -v r="$right" -v w="$wrong" 'BEGIN { exit !(r > w + 0.1) }'
run score --rgb rgb/a.ppm --alpha alpha/a.pgm --premultiplied --metric color_fit --json
ok "--premultiplied makes alignment circular" out_has '"value":null,"reason":"circular"'

run score --rgb rgb --alpha alpha --csv --threads 1
ok "folders are paired by name" out_has '^c,flicker_vbench,flicker_vbench,1,,too_few_frames'
cp "$out" one
run score --rgb rgb --alpha alpha --csv --threads 3
ok "threads change nothing" cmp -s "$out" one
run score --rgb rgb --alpha alpha --csv -o all.csv
ok "-o holds the same" cmp -s all.csv one
ok "-o leaves standard output empty" out_empty
rm alpha/b.pgm
run score --rgb rgb --alpha alpha
ok "a missing matte is named" err_has 'nothing there is called b'
matte alpha/b.pgm 10
: >rgb/b.ppm
run score --rgb rgb --alpha alpha --csv --metric alpha_coverage
ok "a damaged file is an exit status" exits 1
ok "a damaged file is named" err_has 'b: '
ok "the others are scored" out_has '^c,alpha_coverage'

run score alpha --truth rgb --metric alpha_coverage
ok "truth pairs by name" err_lacks 'no file of their name'
run score alpha/a.pgm alpha/c.pgm --truth rgb/a.ppm
ok "one file for two clips is refused" err_has 'one file for 2 clips'
run score alpha/a.pgm --csv --json
ok "two formats are refused" exits 2
run score alpha --tier 7
ok "an unknown tier is refused" exits 2
mkdir many other
for k in 1 2 3 4 5 6; do
  picture "many/$k.ppm"
  matte "other/$k.pgm" "$k"
done
run score many --against other --set rand_mmd:alpha=0,hof_energy:alpha=0 --json
ok "sets are compared" out_has '"set":true,"metric":"rand_mmd:alpha=0",.*"reason":.*"n":'
ok "a set of stills has no motion features" out_has '"id":"hof_energy",.*"value":null,"reason":"too_few'
run score many --set swd
ok "--set needs --against" exits 2
run score many --against other --set frechet
ok "features of a file score are not taken from clips" err_has 'features come from files'
run score --features none.npy --against-features none.npy --set kid
ok "a missing feature file is named" err_has 'none.npy'
run metrics show kid
ok "scores of sets have a definition" out_has '^- features .file.'
finish
