#!/bin/sh
# tandem vae from outside: what it writes, says and refuses. Numbers are in tests/unit/eng_vae.c and test_cli_vae.c.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"
G=$SOURCE/tests/golden
W="--weights $G/vae_weights.safetensors --config $G/vae_config.json"

# shellcheck disable=SC2086  # $W is several words
run vae decode $W --in "$G/vae.safetensors" --out x.safetensors --json
ok "decode succeeds" exits 0
ok "a file is there" test -s x.safetensors
is_json "--json is JSON"
if [ -n "$json" ] && [ "$json" = jq ]; then
  ok "the shapes are named" json_is '[.input, .output]' '[[1,16,5,2,3],[1,3,17,16,24]]'
  ok "the peak is the sum of its parts" json_is '.bytes | .total == .weights + .work + .tensors' true
  ok "what the process took is known" json_is '.bytes.peak_rss > 0' true
fi
ok "the file is named" err_has 'wrote x.safetensors'
ok "no cursor movement" plain

# shellcheck disable=SC2086
run vae encode $W --in "$G/vae.safetensors" --out z.safetensors -v --threads 1
ok "encode succeeds" exits 0
ok "nothing on standard output" out_empty
ok "-v says what it needs" err_has '^peak memory [0-9.]+ MiB: weights'
ok "17 frames are no cause for a warning" err_lacks warning

# shellcheck disable=SC2086
run vae encode $W --in "$G/vae_tiled.safetensors" --out z.safetensors --tile 48x40 -q
ok "tiles succeed" exits 0
ok "5 frames are warned about" err_has '5 frames become 2 latent frames, which decode to 8.*8k \+ 1'

mkdir -p model/vae
cp "$G/vae_weights.safetensors" model/vae/diffusion_pytorch_model.safetensors
cp "$G/vae_config.json" model/vae/config.json
for way in model/vae model/vae/diffusion_pytorch_model.safetensors; do
  run vae decode --weights "$way" --in "$G/vae.safetensors" --out y.safetensors -q
  ok "$way without --config" exits 0
  ok "$way gives the same" cmp -s x.safetensors y.safetensors
done

run vae decode --config "$G/vae_config.json" --plan 13x60x90 --tile auto
ok "--plan needs no weights" exits 0
ok "--plan names shapes and tiles" out_has '^decode: 13 frames of 60x90 to 49 of 480x720, 9 tiles, 6 chunks each'
ok "--plan names the peak" out_has '^peak memory '
ok "--plan writes nothing else" err_empty

# refuse STATUS REGEX ARGS...: fails so, and leaves the old output
refuse() {
  status=$1 regex=$2
  shift 2
  echo old >z.safetensors
  run vae "$@" --out z.safetensors
  ok "refused: $regex" exits "$status"
  ok "it says: $regex" err_has "$regex"
  ok "the old file is whole" grep -qx old z.safetensors
}
refuse 2 "vae 'encod': encode or decode" encod
refuse 2 '--config FILE is missing' decode
refuse 2 '--in FILE is missing' decode --config "$G/vae_config.json" --weights x.safetensors
# shellcheck disable=SC2086
refuse 2 "--tile is off, auto or HEIGHTxWIDTH" decode $W --in "$G/vae.safetensors" --tile 48
# shellcheck disable=SC2086
refuse 2 'tile 32x48.*multiple of 48 .*of 40' decode $W --in "$G/vae.safetensors" --tile 32x48
# shellcheck disable=SC2086
refuse 1 'in.latents' decode $W --in z_there_is_none.safetensors --in x.safetensors
# shellcheck disable=SC2086
refuse 1 'no_such' decode $W --in no_such.safetensors
refuse 2 '--plan is FRAMESxHEIGHTxWIDTH' decode --config "$G/vae_config.json" --plan 13x60
echo '{"block_out_channels": [8, 16, 16, 32], "norm_num_groups": 4, "layers_per_block": 1}' >wide.json
refuse 1 'tensors do not fit the model' decode --weights "$G/vae_weights.safetensors" --config wide.json --in "$G/vae.safetensors"
ok "shapes wanted and found are named" err_has 'want \[32,16,3,3,3\], file has F32 \[24,16,3,3,3\]'
ok "what config and shapes disagree about is named" err_has 'block_out_channels\[3\] is 32 in the config, 24 in the weights'
echo '{"latent_channels": 8}' >latent.json
refuse 1 'in.latents has 16 channels, the VAE of latent.json takes 8' decode --weights "$G/vae_weights.safetensors" \
  --config latent.json --in "$G/vae.safetensors"
echo '{"temporal_compression_ratio": 3}' >three.json
refuse 2 "'temporal_compression_ratio' 3 is no power of two" decode --weights w --config three.json --in i
head -c 100000 "$G/vae_weights.safetensors" >cut.safetensors
refuse 1 'cut.safetensors' decode --weights cut.safetensors --config "$G/vae_config.json" --in "$G/vae.safetensors"
echo '{' >broken.json
refuse 1 'broken.json:' decode --weights w --config broken.json --in i
run vae decode --config "$G/vae_config.json" --plan 60000x8000x8000
ok "a size no machine has is refused" exits 1
finish
