#!/bin/sh
# configs/study.schema.json takes the studies that come with the program and refuses what the program refuses.
# shellcheck source=tests/cli/_lib.sh
. "$(dirname "$0")/_lib.sh"

if ! python3 -c 'import jsonschema' 2>/dev/null; then
  skip "the schema of study files" "python3-jsonschema is not installed"
  finish
fi
cat >validate.py <<'END'
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft7Validator.check_schema(schema)
sys.exit(0 if jsonschema.Draft7Validator(schema).is_valid(json.load(open(sys.argv[2]))) else 1)
END
valid() { python3 validate.py "$SOURCE/configs/study.schema.json" "$1"; }
invalid() { valid "$1" 2>/dev/null; [ $? = 1 ]; }
cp -r "$SOURCE/configs" configs

for study in configs/studies/*.json; do
  ok "$(basename "$study") is valid" valid "$study"
done
# Each change makes a study that both the schema and the program must refuse.
while read -r change; do
  sed "$change" "$SOURCE/configs/studies/smoke.json" >configs/studies/changed.json
  ok "'$change' changes the study" test "$(cmp -s configs/studies/changed.json configs/studies/smoke.json && echo same)" = ""
  ok "'$change' is invalid" invalid configs/studies/changed.json
  run check configs/studies/changed.json
  ok "'$change' is refused" exits 2
done <<'END'
s/"schema": 1/"schema": 2/
s/"steps": 4/"stepps": 4/
s/"steps": 4/"steps": -4/
s/"steps": 4/"steps": "many"/
s/"sampler": "ddim"/"sampler": "dimm"/
s/"metrics":/"metricks":/
s/"study": "smoke"/"study": "sm oke"/
s/"train_seed":/"trainseed":/
s/"axes":/"axis":/
s/"file":/"flie":/
END
# And these both take.
while read -r change; do
  sed "$change" "$SOURCE/configs/studies/smoke.json" >configs/studies/changed.json
  ok "'$change' changes the study" test "$(cmp -s configs/studies/changed.json configs/studies/smoke.json && echo same)" = ""
  ok "'$change' is valid" valid configs/studies/changed.json
  run check configs/studies/changed.json
  ok "'$change' is accepted" exits 0
done <<'END'
s/"base": "base"/"long": {"design": "ours", "train.steps": 9, "sample": {"steps": 3}}/
s/"train_seed": \[0\]/"train_seed": {"count": 2, "from": 1}/
s/"matrix":/"resources": {"train": {"minutes": 5}}, "matrix":/
s/"help":/"\/\/": "a comment", "help":/
s/"axes":/"one_at_a_time": {"train.rank": [2]}, "axes":/
END
finish
