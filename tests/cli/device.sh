#!/bin/sh
# The CUDA device from outside: none here; then the emulated one (tests/emu), where it was built.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

EMU=$(dirname "$BIN")/tests/emu/lib

no_cuda_library() { ! ldd "$BIN" | grep -E 'libcuda|libcublas|libnvidia|libnvrtc'; }
ok "the program links no CUDA library" no_cuda_library

run version --json
if [ "$json" != jq ]; then
  skip "levels of the kernels" "needs jq"
elif grep -q '"cuda": *true' "$out"; then
  ok "version names the levels of the kernels" json_is '.cuda_archs | test("compute_80$")' true
else
  ok "version says that there are none" json_is '[.cuda, .cuda_archs]' '[false,null]'
fi

run doctor --gpu
ok "without a driver the report is exit 1" exits 1
ok "and one line says why" test "$(wc -l <"$err")" = 1
ok "with what is missing" err_has 'backend cuda: (no NVIDIA driver|no CUDA device|not in this build)'
ok "and nothing on standard output" out_empty

if [ ! -e "$EMU/libcuda.so.1" ] || grep -q 'not in this build' "$err"; then
  skip "doctor --gpu on the emulated device" "no emulator or no cuda backend in this build"
  finish
fi
cat >"$work/emulated" <<END
#!/bin/sh
LD_LIBRARY_PATH=$EMU exec "$BIN" "\$@"
END
chmod +x "$work/emulated"
BIN=$work/emulated

run doctor --gpu --gpu-rows 32
ok "on the emulated device every operation agrees with the CPU" exits 0
ok "each line has a verdict" test "$(grep -cE '^OK   ' "$out")" -ge 29
ok "none is wrong" test "$(grep -c FAIL "$out")" = 0
ok "the device is named for what it is" out_has 'PTX emulator'

finish
