# shellcheck shell=sh
# Pictures without any other program: PAM files, which hold alpha and 16 bits. Sourced by tests after _lib.sh.
#
#   frames FOLDER COUNT WIDTH HEIGHT ALPHA [MAXVAL]   FOLDER/f0001.pam..., moving colours; ALPHA is a byte from 1 to 255
#       for all pixels, "box" for a bright box that moves with the colours, or "none" for pictures without alpha.
#       MAXVAL 65535: 16 bits, every value its byte and then a byte of 1.
#   gray FILE WIDTH HEIGHT BYTE                        one gray picture (PGM)

frames() {
  mkdir -p "$1"
  awk -v to="$1" -v count="$2" 'BEGIN { for (k = 1; k <= count; k++) printf "%s/f%04d.pam\n", to, k }' >"$1/.list"
  k=1
  while read -r file; do
    frame $k "$3" "$4" "$5" "${6:-255}" >"$file"
    k=$((k + 1))
  done <"$1/.list"
  rm "$1/.list"
}

frame() {
  depth=4
  type=RGB_ALPHA
  if [ "$4" = none ]; then
    depth=3
    type=RGB
  fi
  printf 'P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL %d\nTUPLTYPE %s\nENDHDR\n' "$2" "$3" $depth "$5" $type
  LC_ALL=C awk -v k="$1" -v w="$2" -v h="$3" -v alpha="$4" -v deep=$(($5 > 255)) 'function put(v) {
      printf "%c", v
      if (deep) printf "%c", 1
    }
    BEGIN { for (y = 0; y < h; y++) for (x = 0; x < w; x++) {
      box = x >= w / 4 + k && x < w * 3 / 4 + k && y >= h / 4 && y < h * 3 / 4
      put(box ? 200 : 1 + (7 * x + 3 * y + 11 * k) % 90); put(box ? 90 : 60 + (x * y + k) % 50); put(1 + 2 * k)
      if (alpha != "none") put(alpha != "box" ? alpha : box ? 220 : 1) } }'
}

gray() {
  {
    printf 'P5\n%d %d\n255\n' "$2" "$3"
    LC_ALL=C awk -v n=$(($2 * $3)) -v v="$4" 'BEGIN { while (n-- > 0) printf "%c", v }'
  } >"$1"
}
