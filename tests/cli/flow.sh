#!/bin/sh
# tandem flow: the bytes of a .flo file, what is refused, what --json says. Numbers are in tests/unit/test_flo.c.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

# texture FILE WIDTH HEIGHT SHIFT...: a gray Y4M video; in each frame the texture lies SHIFT pixels further right
texture() {
  LC_ALL=C awk -v w="$2" -v h="$3" -v shifts="$4" 'BEGIN {
    printf "YUV4MPEG2 W%d H%d F25:1 Ip A1:1 Cmono\n", w, h
    n = split(shifts, s, " ")
    for (t = 1; t <= n; t++) {
      printf "FRAME\n"
      for (y = 0; y < h; y++) for (x = 0; x < w; x++)
        printf "%c", int(128 + 60 * sin(0.5 * (x - s[t]) + 0.2 * y) + 50 * cos(0.4 * y - 0.3 * (x - s[t])))
    }
  }' >"$1"
}
texture a.y4m 72 48 0
texture b.y4m 72 48 2
texture both.y4m 72 48 "5 0 2"
texture small.y4m 64 48 0

# bytes FROM COUNT: of x.flo, as hexadecimal digits
bytes() { od -An -v -tx1 -j "$1" -N "$2" x.flo | tr -d ' \n'; }
is() { [ "$1" = "$2" ]; }

run flow a.y4m b.y4m -o x.flo
ok "two pictures give a file" exits 0
ok "nothing is on standard output" out_empty
ok "a line says how much moves" err_has '^x.flo: 72x48, mean [0-9.]+ px, largest [0-9.]+ px$'
ok "its size is 12 + 8 width height" is "$(wc -c <x.flo | tr -d ' ')" 27660
ok "it starts with PIEH, width and height, little endian" is "$(bytes 0 12)" 504945484800000030000000
# Pixel (36, 24): u is near 2, whose float is 0x40000000; v is near 0.
LC_ALL=C od -An -v -tf4 -j $((12 + 8 * (24 * 72 + 36))) -N 8 x.flo >pixel
# shellcheck disable=SC2016  # $1 and $2 are awk's
ok "the texture's shift is there, u first" awk '{ exit !($1 > 1.8 && $1 < 2.2 && $2 > -0.2 && $2 < 0.2) }' pixel
cp x.flo first.flo
run flow a.y4m b.y4m -q -o x.flo
ok "again, quietly" exits 0
ok "-q says nothing" err_empty
ok "the same bytes" cmp -s x.flo first.flo
run flow b.y4m a.y4m -o x.flo
LC_ALL=C od -An -v -tf4 -j $((12 + 8 * (24 * 72 + 36))) -N 4 x.flo >pixel
# shellcheck disable=SC2016
ok "from B to A it is the other way" awk '{ exit !($1 > -2.2 && $1 < -1.8) }' pixel
run flow both.y4m both.y4m --frame-a 1 --frame-b 2 -o x.flo
ok "frames of a video are pictures" cmp -s x.flo first.flo
run flow a.y4m b.y4m -o -
ok "-o - writes to standard output" exits 0
ok "the same bytes there" cmp -s "$out" first.flo
run flow a.y4m b.y4m --params 0.5,3,15,3,5,1.2,256 -o x.flo
ok "flags 256 is a Gaussian window" exits 0
ok "which gives another flow" test "$(cksum <x.flo)" != "$(cksum <first.flo)"

if [ "$json" = jq ]; then
  run flow a.y4m b.y4m --json
  ok "--json needs no file" exits 0
  ok "size and file" json_is '[.width, .height, .path]' '[72,48,null]'
  ok "mean and largest magnitude" json_is '[.mean_magnitude > 1.5, .mean_magnitude < 2.5, .max_magnitude >= .mean_magnitude]' '[true,true,true]'
  ok "all seven parameters" json_is '.params | [.pyr_scale, .levels, .winsize, .iterations, .poly_n, .poly_sigma, .flags]' '[0.5,3,15,3,5,1.2,0]'
  ok "the pictures" json_is '[.a.path, .a.frame, .b.path, .b.frame]' '["a.y4m",0,"b.y4m",0]'
  run flow a.y4m b.y4m --params 0.6,1,7,2,7,1.5,0 -o x.flo --json
  ok "with a file as well" json_is '[.path, .params.winsize]' '["x.flo",7]'
else
  skip "flow --json" "needs jq"
fi

rm -f x.flo
run flow a.y4m small.y4m -o x.flo
ok "sizes must agree" exits 1
ok "both are named" err_has 'a.y4m is 72x48, small.y4m is 64x48'
run flow a.y4m missing.y4m -o x.flo
ok "a missing file fails" exits 1
ok "and is named" err_has 'missing.y4m: no such file'
run flow a.y4m both.y4m --frame-b 3 -o x.flo
ok "a frame beyond the end is a usage error" exits 2
ok "it says how many there are" err_has 'both.y4m has no frame 3: it has 3 frames, counted from 0'
run flow a.y4m b.y4m --params 0.5,3,15,3,5,1.2,4 -o x.flo
ok "an initial flow is refused" exits 2
ok "with the reason" err_has 'flags 4 asks for an initial flow'
run flow a.y4m b.y4m --params 0.5,3,15,3,5,1.2,260 -o x.flo
ok "also with the Gaussian window" exits 2
run flow a.y4m b.y4m --params 0.5,3,15,3,5,1.2,1 -o x.flo
ok "other flags are refused" err_has 'flags is 0 or 256'
run flow a.y4m b.y4m --params 0.5,3,15,3,5,1.2 -o x.flo
ok "six numbers are refused" err_has 'seven numbers'
run flow a.y4m b.y4m --params 0.5,3,15,3,5,1.2,0,1 -o x.flo
ok "eight numbers are refused" exits 2
run flow a.y4m b.y4m --params 0.5,3,15.5,3,5,1.2,0 -o x.flo
ok "half a pixel of window is refused" err_has 'winsize is a whole number from 1 to 255, not 15.5'
run flow a.y4m b.y4m --params nan,3,15,3,5,1.2,0 -o x.flo
ok "what is not a number is refused" exits 2
run flow a.y4m b.y4m
ok "a file or --json is needed" exits 2
ok "and asked for" err_has '[-]o FILE'
run flow a.y4m b.y4m -o - --json
ok "two things on standard output are refused" exits 2
run flow a.y4m
ok "two pictures are needed" exits 2
ok "no refusal left a file" test ! -e x.flo
run flow a.y4m b.y4m -o missing/x.flo
ok "a folder that is not there fails" exits 1

finish
