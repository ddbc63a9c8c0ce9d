#!/bin/sh
# faults.sh BUILD [--applies|NAME...]: plants one fault after another in a copy of a kernel file, runs the tests on it under the
# emulator (EMU_IMAGE) and prints what caught it. TAP; a fault that nothing catches is a failure, and so is a change
# that no longer applies. With names, only those faults; with --applies only whether the changes still apply.
set -u
build=$(cd "$1" && pwd) || exit 1
shift
applies=0
[ "${1:-}" = --applies ] && applies=1 && shift
wanted=" $* "
cd "$(dirname "$0")/../.." || exit 1
export TANDEM_SOURCE="$PWD" LD_LIBRARY_PATH="$build/tests/emu/lib" OMP_NUM_THREADS=1
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
[ $applies = 1 ] || for need in "$nvcc" "$build/tests/emu_ops" "$build/tests/emu_attn" "$build/tests/emu/lib/libcuda.so.1"; do
  [ -e "$need" ] || { echo "1..0 # SKIP $need is missing"; exit 77; }
done
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$T/ops"
cp -R harness/engine/ops/cuda "$T/ops/kept"

# NAME | FILE | HOST KERNEL FILE | TEST | SED SCRIPT
table() {
  cat <<'TABLE'
attn_mma_first_barrier|attn.cu|attn.cu|emu_attn|/copy_wait<1>/,/load_a/s/__syncthreads();//
attn_mma_loop_barrier|attn.cu|attn.cu|emu_attn|s/__syncthreads(); \/\* the chunk.*//
attn_mma_last_barrier|attn.cu|attn.cu|emu_attn|s/__syncthreads(); \/\* the buffers.*//
attn_mma_first_wait|attn.cu|attn.cu|emu_attn|s/copy_wait<1>();//
attn_mma_loop_wait|attn.cu|attn.cu|emu_attn|s/copy_wait<0>();//
attn_mma_weak_wait|attn.cu|attn.cu|emu_attn|s/copy_wait<0>();/copy_wait<1>();/
attn_mma_warp_barrier|attn.cu|attn.cu|emu_attn|/put_rows(own/,/^}/s/__syncwarp();//
attn_plain_barrier_in|attn.cu|attn.cu|emu_attn|/load_plain<S, DIM>(v/,/times_turned/s/__syncthreads();//
attn_plain_barrier_out|attn.cu|attn.cu|emu_attn|/add_times<DIM>(st/,/^  }/s/__syncthreads();//
attn_plain_warp_barrier|attn.cu|attn.cu|emu_attn|/put_plain(p, s)/,/add_times/s/__syncwarp();//
attn_lse_bound|attn.cu|attn.cu|emu_attn|s/(threadIdx.x & 3) == 0 && r < tile.rows/(threadIdx.x \& 3) == 0/
attn_mask|attn.cu|attn.cu|emu_attn|s/if (now.n < ATTN_MMA_ROWS) mma_mask(s, now.n);//
attn_stale_scale|attn.cu|attn.cu|emu_attn|/w.o\[m\]\[j\]\[2 \* h\] \*= fade/d
attn_shuffle_mask|attn.cu|attn.cu|emu_attn|s/__shfl_xor_sync(FULL, sum, 2)/__shfl_xor_sync(0xffffu, sum, 2)/
attn_fragment|attn.cu|attn.cu|emu_attn|/a\[m\]\[1\] = pack2/s/\[2\], p\[m\]\[2 \* k\]\[3\]/[3], p[m][2 * k][2]/
attn_store_bound|attn_parts.cuh|attn.cu|emu_attn|s/if (r < n) \*reinterpret_cast/*reinterpret_cast/
bwd_loop_wait|attn_bwd.cu|attn_bwd.cu|emu_attn|s/copy_wait<0>();//
bwd_loop_barrier|attn_bwd.cu|attn_bwd.cu|emu_attn|s/__syncthreads(); \/\* the chunk.*//
delta_bound|attn_bwd.cu|attn_bwd.cu|emu_attn|s/if (lane == 0 && r < tile.rows) a.delta/if (lane == 0) a.delta/
heads_barrier|heads.cu|heads.cu|emu_ops|s/^  __syncthreads();$//
heads_bound|heads.cu|heads.cu|emu_ops|s/if (x.col(e) >= x.dim) continue;//
sums_barrier|sums.cu|sums.cu|emu_ops|s/^  __syncthreads();$//
sums_missing_plus|sums.cu|sums.cu|emu_ops|s/a.ld + j\] +=/a.ld + j] =/
sums_off_by_one|sums.cu|sums.cu|emu_ops|s/j < a.cols \&\& r < r1; r/j < a.cols \&\& r < r1 - 1; r/
step_bound|sums.cu|sums.cu|emu_ops|s/k < a.n \&\& k < i + V/k < i + V/
norm_barrier|device.cuh|norm.cu|emu_ops|s/^  __syncthreads();$//
each_bound|each.cu|each.cu|emu_ops|s/if (j >= a.cols) return;//
TABLE
}

# What the test said first: a fault of the emulator, or a comparison that failed. Empty: it passed.
caught_by() { # TEST
  stdbuf -oL "$build/tests/$1" 2>&1 | grep -m 1 -E '^emu: |ERROR|FAILED' |
    sed -E 's/^emu: kernel [^:]*: ([^;]*);.*/emulator: \1/; s/ at (offset )?0x[0-9a-f]+//g; s/^\[ +(ERROR|FAILED) +\].*/test: comparison/; s/^ERROR: /test: /' |
    cut -c 1-100
}

compile() { # FILE, as it is in $T/ops/cuda
  "$nvcc" -std=c++17 -O3 -fmad=false -lineinfo -arch=compute_80 -ptx -I"$T" -Iharness/engine -o "$T/image.ptx" "$T/ops/cuda/$1" >"$T/nvcc.log" 2>&1
}

n=0
bad=0
report() { # OK NAME NOTE
  n=$((n + 1))
  [ "$1" = ok ] || bad=$((bad + 1))
  echo "$1 $n - $2 # $3"
}

table >"$T/table"
while IFS='|' read -r name file host test script; do
  case $wanted in *" $name "* | "  ") ;; *) continue ;; esac
  rm -rf "$T/ops/cuda"
  cp -R "$T/ops/kept" "$T/ops/cuda"
  sed "$script" "$T/ops/kept/$file" >"$T/ops/cuda/$file"
  if cmp -s "$T/ops/kept/$file" "$T/ops/cuda/$file"; then
    report 'not ok' "$name" "the change does not apply"
  elif [ $applies = 1 ]; then
    report ok "$name" "applies"
  elif ! compile "$host"; then
    report 'not ok' "$name" "nvcc: $(head -n 1 "$T/nvcc.log")"
  else
    by=$(EMU_IMAGE="$T/image.ptx" caught_by "$test" </dev/null)
    if [ -n "$by" ]; then report ok "$name" "$by"; else report 'not ok' "$name" "nothing caught it"; fi
  fi
done <"$T/table"
echo "1..$n"
[ $bad = 0 ]
